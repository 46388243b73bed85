package session

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/octostore/octostore/core/files"
)

// trustAlso makes a client trust the PEM certificates of a file besides those of the
// system. Errors name the setting that names the file. No-op without a file.
func trustAlso(transport *http.Transport, file, from string) error {
	if file == "" {
		return nil
	}
	pem, err := files.Read(file, largestPEM)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the system has none
	}
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s has no certificate in PEM", from, file)
	}
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return nil
}

// largestPEM is the size limit of the file, enough for the certificates of all authorities.
const largestPEM = 16 << 20

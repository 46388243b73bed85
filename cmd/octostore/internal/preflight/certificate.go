package preflight

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/files"
)

// largestPEMFile is more than a chain of certificates takes.
const largestPEMFile = 16 << 20

// Certificate is the TLS certificate of a server.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// openCertificate reads the certificate and its key. It returns nil without files.
func openCertificate(certFile, keyFile string) (*Certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	return c, c.Reload()
}

// Reload reads the files again. If they cannot be used, nothing changes.
func (c *Certificate) Reload() error {
	cert, err := files.Read(c.certFile, largestPEMFile)
	if err != nil {
		return fmt.Errorf("OCTOSTORE_TLS_CERT: %w", err)
	}
	key, err := files.Read(c.keyFile, largestPEMFile)
	if err != nil {
		return fmt.Errorf("OCTOSTORE_TLS_KEY: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("OCTOSTORE_TLS_CERT and OCTOSTORE_TLS_KEY (%s, %s): %w", c.certFile, c.keyFile, err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("OCTOSTORE_TLS_CERT (%s): the certificate expired on %s", c.certFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.current.Store(&pair)
	return nil
}

// checkNode checks that the certificate is for the host at which other nodes reach this one. A node with
// another certificate could serve, but no other node would forward to it.
func (c *Certificate) checkNode(advertised string) error {
	u, err := url.Parse(advertised)
	if err != nil {
		return fmt.Errorf("OCTOSTORE_ADVERTISE_URL: %w", err)
	}
	if err := c.current.Load().Leaf.VerifyHostname(u.Hostname()); err != nil {
		return fmt.Errorf(
			"OCTOSTORE_TLS_CERT (%s) is not for the host of OCTOSTORE_ADVERTISE_URL, so other nodes would not forward to this one: %w",
			c.certFile, err,
		)
	}
	return nil
}

// Expires returns the end of the certificate in use.
func (c *Certificate) Expires() time.Time { return c.current.Load().Leaf.NotAfter }

// Subject returns the names of the certificate in use: those of its hosts, else that of its
// subject.
func (c *Certificate) Subject() string {
	leaf := c.current.Load().Leaf
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return cmp.Or(strings.Join(names, ", "), leaf.Subject.String())
}

// ServerConfig returns a TLS configuration that uses the newest certificate for every
// connection.
func (c *Certificate) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

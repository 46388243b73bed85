package preflight

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestCertificateAndKeyHaveToBeGood(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := octotest.WriteCertificate(t, dir, "x", time.Now().Add(time.Hour))
	other, _ := octotest.WriteCertificate(t, t.TempDir(), "y", time.Now().Add(time.Hour))
	for _, test := range []struct{ cert, key, want string }{
		{filepath.Join(dir, "no.pem"), keyFile, "OCTOSTORE_TLS_CERT: open "},
		{certFile, filepath.Join(dir, "no.pem"), "OCTOSTORE_TLS_KEY: open "},
		{keyFile, certFile, "OCTOSTORE_TLS_CERT and OCTOSTORE_TLS_KEY"},
		{other, keyFile, "does not match"},
	} {
		if _, err := openCertificate(test.cert, test.key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestCertificateOfANodeHasToFitItsURL(t *testing.T) {
	certFile, keyFile := octotest.WriteCertificate(t, t.TempDir(), "x", time.Now().Add(time.Hour))
	for url, fits := range map[config.NodeURL]bool{"https://127.0.0.1:3000": true, "https://elsewhere.example:3000": false, "https://10.9.8.7:3000": false} {
		var p Parts
		err := p.readCertificate(config.Config{Store: config.Etcd, AdvertiseURL: url, TLSCert: config.File(certFile), TLSKey: config.File(keyFile)})
		if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "OCTOSTORE_ADVERTISE_URL") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

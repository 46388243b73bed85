package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestEtcdConfigReadsCertificatesAndPassword(t *testing.T) {
	cert, key := octotest.WriteCertificate(t, t.TempDir(), "octostore", time.Now().Add(time.Hour))
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := EtcdConfig(config.Config{
		EtcdEndpoints: "https://a:2379,https://b:2379", EtcdPrefix: "/octostore/", EtcdLease: 10 * time.Second, Node: "n1", AdvertiseURL: "https://me:3000",
		EtcdCA: config.File(cert), EtcdCert: config.File(cert), EtcdKey: config.File(key), EtcdUser: "octo", EtcdPasswordFile: config.File(password),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Endpoints) != 2 || got.Password != "open sesame" || got.User != "octo" || got.Node != "n1" || got.URL != "https://me:3000" || got.Lease != 10*time.Second {
		t.Errorf("got %+v", got)
	}
	if pair, err := got.TLS.GetClientCertificate(nil); err != nil || pair.Leaf == nil || got.TLS.RootCAs == nil {
		t.Errorf("got the certificate %v, %v", pair, err)
	}
}

func TestEtcdConfigNamesTheSettingWhoseFileIsNoUse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) config.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return config.File(path)
	}
	cert, key := octotest.WriteCertificate(t, dir, "octostore", time.Now().Add(time.Hour))
	old, oldKey := octotest.WriteCertificate(t, t.TempDir(), "octostore", time.Now().Add(-time.Hour))
	missing := config.File(filepath.Join(dir, "missing"))
	for want, cfg := range map[string]config.Config{
		"OCTOSTORE_ETCD_CA: open ":                                       {EtcdCA: missing},
		"has no certificate in PEM":                                      {EtcdCA: config.File(key)},
		"OCTOSTORE_ETCD_CERT: open ":                                     {EtcdCert: missing, EtcdKey: config.File(key)},
		"OCTOSTORE_ETCD_KEY: open ":                                      {EtcdCert: config.File(cert), EtcdKey: missing},
		"OCTOSTORE_ETCD_CERT and OCTOSTORE_ETCD_KEY":                     {EtcdCert: config.File(cert), EtcdKey: config.File(cert)},
		"OCTOSTORE_ETCD_CERT: the certificate expired on ":               {EtcdCert: config.File(old), EtcdKey: config.File(oldKey)},
		"OCTOSTORE_ETCD_PASSWORD_FILE: open ":                            {EtcdPasswordFile: missing},
		"does not hold one line":                                         {EtcdPasswordFile: write("two", "a\nb\n", 0o600)},
		"OCTOSTORE_ETCD_PASSWORD_FILE: " + filepath.Join(dir, "for-all"): {EtcdPasswordFile: write("for-all", "a\n", 0o604)},
	} {
		cfg.EtcdEndpoints = "https://a:2379"
		if _, err := EtcdConfig(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

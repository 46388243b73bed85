package preflight

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/store/etcd"
)

// EtcdConfig returns how to connect to the etcd of these settings, with the certificates and
// the password read. It does not connect. The caller sets the logger and the digest of the
// policies. Errors name the setting, and show no secret.
func EtcdConfig(cfg config.Config) (etcd.Config, error) {
	password, err := etcdPassword(cfg)
	if err != nil {
		return etcd.Config{}, err
	}
	encrypted, err := etcdTLS(cfg)
	if err != nil {
		return etcd.Config{}, err
	}
	return etcd.Config{
		Endpoints: cfg.EtcdEndpoints.List(),
		Prefix:    string(cfg.EtcdPrefix),
		Lease:     cfg.EtcdLease,
		TLS:       encrypted,
		User:      string(cfg.EtcdUser),
		Password:  password,
		Node:      string(cfg.Node),
		URL:       string(cfg.AdvertiseURL),
		Version:   version.Own(),
	}, nil
}

// checkEtcd reads the files of the settings for etcd.
func checkEtcd(_ *Parts, cfg config.Config) error {
	if cfg.Store != config.Etcd {
		return nil
	}
	_, err := EtcdConfig(cfg)
	return err
}

func etcdPassword(cfg config.Config) (string, error) {
	if cfg.EtcdPasswordFile == "" {
		return "", nil
	}
	const most = 1024
	path := string(cfg.EtcdPasswordFile)
	text, _, err := files.ReadSecret(path, most)
	if err != nil {
		return "", fmt.Errorf("OCTOSTORE_ETCD_PASSWORD_FILE: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n") {
		return "", fmt.Errorf("OCTOSTORE_ETCD_PASSWORD_FILE: %s does not hold one line with a password and nothing else", path)
	}
	return password, nil
}

// etcdTLS returns nil if the connections are not encrypted. A certificate that is replaced
// is read at the next connection.
func etcdTLS(cfg config.Config) (*tls.Config, error) {
	if !cfg.EtcdEndpoints.TLS() {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.EtcdCA != "" {
		text, err := files.Read(string(cfg.EtcdCA), largestPEMFile)
		if err != nil {
			return nil, fmt.Errorf("OCTOSTORE_ETCD_CA: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("OCTOSTORE_ETCD_CA: %s has no certificate in PEM", cfg.EtcdCA)
		}
	}
	if cfg.EtcdCert == "" {
		return c, nil
	}
	if _, err := etcdCertificate(cfg); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return etcdCertificate(cfg) }
	return c, nil
}

func etcdCertificate(cfg config.Config) (*tls.Certificate, error) {
	cert, err := files.Read(string(cfg.EtcdCert), largestPEMFile)
	if err != nil {
		return nil, fmt.Errorf("OCTOSTORE_ETCD_CERT: %w", err)
	}
	key, _, err := files.ReadSecret(string(cfg.EtcdKey), largestPEMFile)
	if err != nil {
		return nil, fmt.Errorf("OCTOSTORE_ETCD_KEY: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("OCTOSTORE_ETCD_CERT and OCTOSTORE_ETCD_KEY (%s, %s): %w", cfg.EtcdCert, cfg.EtcdKey, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, errors.New("OCTOSTORE_ETCD_CERT: the certificate expired on " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

// NodeTLS returns how a node verifies the others where their URLs are https: by the authorities of the
// system, and by the certificates in its own file, which nodes may share.
func NodeTLS(cfg config.Config) *tls.Config {
	if cfg.TLSCert == "" {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if text, err := os.ReadFile(string(cfg.TLSCert)); err == nil { // which was read before
		roots.AppendCertsFromPEM(text)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

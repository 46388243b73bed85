// Package preflight checks the preconditions of a start: addresses, certificate, login,
// tokens file, files for etcd, the location of the database and the folder of the archive. A
// start runs the checks up to the first that fails; the doctor runs all of them, so both report a
// mistake in the same words. No check changes anything on the disk.
package preflight

import (
	"errors"
	"fmt"
	"net"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal/archive"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/login"
)

// Check is one precondition of a start.
type Check struct {
	About string
	// Run stores the listeners and files that it opens in the parts.
	Run func(p *Parts, cfg config.Config) error
}

// Parts are the listeners and files that the checks have opened. The start uses them, the
// doctor closes them.
type Parts struct {
	Listener    net.Listener // on OCTOSTORE_ADDR
	Admin       net.Listener // on OCTOSTORE_ADMIN_ADDR; nil: it is not set
	Certificate *Certificate // nil: no TLS

	given [2]string // addresses of listeners that were not bound here: main, admin
}

// Checks returns the checks in their order. Checks that need an open database follow after
// these.
func Checks() []Check {
	return []Check{
		{"address", (*Parts).listen}, // first of all, for it says that another server runs
		{"tls", (*Parts).readCertificate},
		{"login", (*Parts).checkLogin},
		{"tokens", checkTokensFile},
		{"etcd", checkEtcd},
		{"place", checkPlace},
		{"archive", checkArchive},
		{"exposure", (*Parts).checkExposure},
	}
}

// Prepare runs the checks up to the first that fails. After an error nothing is open. A
// listener that is given, not nil, is used instead of one on the address of the settings.
func Prepare(cfg config.Config, main, admin net.Listener) (*Parts, error) {
	p := &Parts{Listener: main, Admin: admin}
	for i, l := range []net.Listener{main, admin} {
		if l != nil {
			p.given[i] = l.Addr().String()
		}
	}
	for _, c := range Checks() {
		if err := c.Run(p, cfg); err != nil {
			p.Close()
			return nil, err // it names the setting, or the file
		}
	}
	return p, nil
}

// Close closes the listeners.
func (p *Parts) Close() {
	for _, l := range []net.Listener{p.Listener, p.Admin} {
		if l != nil {
			_ = l.Close() // nothing can be done about it
		}
	}
}

func (p *Parts) readCertificate(cfg config.Config) (err error) {
	p.Certificate, err = openCertificate(string(cfg.TLSCert), string(cfg.TLSKey))
	if err != nil || p.Certificate == nil || cfg.Store != config.Etcd {
		return err
	}
	return p.Certificate.checkNode(string(cfg.AdvertiseURL))
}

func checkTokensFile(_ *Parts, cfg config.Config) error {
	if cfg.TokensFile == "" {
		return nil
	}
	_, err := auth.CheckFile(string(cfg.TokensFile))
	return err
}

// checkPlace checks the location of the database, if there is to be one.
func checkPlace(_ *Parts, cfg config.Config) error {
	if cfg.Store == config.Etcd {
		return nil
	}
	return sqlite.CheckLocation(string(cfg.DB))
}

// checkArchive checks the folder in which the audit log is archived, if it is there.
func checkArchive(_ *Parts, cfg config.Config) error {
	if cfg.AuditArchive == "" {
		return nil
	}
	if err := archive.CheckFolder(string(cfg.AuditArchive)); err != nil {
		return fmt.Errorf("OCTOSTORE_AUDIT_ARCHIVE: %w", err)
	}
	return nil
}

// checkLogin checks the configuration of the login with GitHub.
func (p *Parts) checkLogin(cfg config.Config) error {
	if !cfg.LoginByGitHub() {
		return nil
	}
	if _, err := login.ParseAllow(string(cfg.GitHubAllow)); err != nil {
		return fmt.Errorf("OCTOSTORE_GITHUB_ALLOW %w", err)
	}
	if _, err := GitHubSecret(cfg); err != nil {
		return err
	}
	if cfg.PublicURL == "" && p.Listener != nil && !isLoopback(p.Listener) {
		return errors.New(
			"OCTOSTORE_PUBLIC_URL is missing: to log in by GitHub, browsers have to find this server; want a URL like https://locks.example.com",
		)
	}
	return nil
}

// checkExposure refuses an address that other machines can reach if there is neither a
// database, nor a tokens file, nor a login. The tokens of an existing database are checked
// after it is open.
func (p *Parts) checkExposure(cfg config.Config) error {
	if cfg.Store == config.Etcd {
		return nil // the tokens are in etcd
	}
	if exposed := p.Exposed(cfg); exposed != "" && !Guarded(cfg) && !exists(string(cfg.DB)) {
		return &ExposedError{exposed}
	}
	return nil
}

// Guarded reports whether requests need a token whatever the database holds.
func Guarded(cfg config.Config) bool { return cfg.TokensFile != "" || cfg.LoginByGitHub() }

// VolatilePlace is the warning for a database that does not survive a restart of the machine.
const VolatilePlace = "the database is on a file system in memory: a restart of the machine forgets every lease, token and record"

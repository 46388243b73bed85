// Package preflight checks what has to be right before a server starts: addresses,
// certificate, login, tokens file, the place of the database. A start runs the checks up to
// the first that fails, the doctor runs all of them: what one finds the other finds, in the
// same words. No check changes anything on the disk.
package preflight

import (
	"errors"
	"fmt"
	"net"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/login"
)

// Check is one thing that has to be right before a server starts.
type Check struct {
	About string
	// Run leaves what it opens in the parts.
	Run func(p *Parts, cfg config.Config) error
}

// Parts are what the checks open: for the start to use, or for the doctor to close.
type Parts struct {
	Listener    net.Listener // on OCTOSTORE_ADDR
	Admin       net.Listener // on OCTOSTORE_ADMIN_ADDR; nil: it is not set
	Certificate *Certificate // nil: no TLS
}

// Checks returns the checks in their order. What is only known of an open database is
// looked at behind them.
func Checks() []Check {
	return []Check{
		{"address", (*Parts).listen}, // first of all, for it says that another server runs
		{"tls", (*Parts).readCertificate},
		{"login", (*Parts).checkLogin},
		{"tokens", checkTokensFile},
		{"place", func(_ *Parts, cfg config.Config) error { return sqlite.CheckLocation(string(cfg.DB)) }},
		{"exposure", (*Parts).checkExposure},
	}
}

// Prepare runs the checks up to the first that fails. After an error nothing is open.
func Prepare(cfg config.Config) (*Parts, error) {
	p := &Parts{}
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
	return err
}

func checkTokensFile(_ *Parts, cfg config.Config) error {
	if cfg.TokensFile == "" {
		return nil
	}
	_, err := auth.CheckFile(string(cfg.TokensFile))
	return err
}

// checkLogin looks whether people can log in by GitHub as it is configured.
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

// checkExposure refuses an address that strangers reach where there is nothing yet that
// could hold a token. Whether a database has one is known when it is open.
func (p *Parts) checkExposure(cfg config.Config) error {
	if exposed := p.Exposed(cfg); exposed != "" && !Guarded(cfg) && !exists(string(cfg.DB)) {
		return &ExposedError{exposed}
	}
	return nil
}

// Guarded reports whether requests need a token whatever the database holds.
func Guarded(cfg config.Config) bool { return cfg.TokensFile != "" || cfg.LoginByGitHub() }

// VolatilePlace is what to say where a restart of the machine forgets everything.
const VolatilePlace = "the database is on a file system in memory: a restart of the machine forgets every lease, token and record"

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/login"
)

// startCheck is one thing that has to be right before a server starts. It changes
// nothing on the disk. What it opens it leaves in the server, for the start to use, or
// for the doctor to close.
type startCheck struct {
	about string
	check func(s *server, cfg config.Config) error
}

// startChecks are what a start looks at first, in this order, and the doctor too: what
// one of them finds the other finds. What is only known of an open database is looked at
// behind them.
var startChecks = []startCheck{
	{"address", (*server).listen}, // first of all, for it says that another server runs
	{"tls", (*server).readCertificate},
	{"login", (*server).checkLogin},
	{"tokens", checkTokensFile},
	{"place", func(_ *server, cfg config.Config) error { return sqlite.CheckPlace(string(cfg.DB)) }},
	{"exposure", (*server).checkExposure},
}

// prepare runs the checks of a start up to the first that fails.
func (s *server) prepare(cfg config.Config) error {
	for _, c := range startChecks {
		if err := c.check(s, cfg); err != nil {
			return err // it names the setting, or the file
		}
	}
	return nil
}

func (s *server) readCertificate(cfg config.Config) (err error) {
	s.certificate, err = openCertificate(string(cfg.TLSCert), string(cfg.TLSKey))
	return err
}

func checkTokensFile(_ *server, cfg config.Config) error {
	if cfg.TokensFile == "" {
		return nil
	}
	_, err := auth.CheckFile(string(cfg.TokensFile))
	return err
}

// checkLogin looks whether people can log in by GitHub as it is configured.
func (s *server) checkLogin(cfg config.Config) error {
	if !cfg.LoginByGitHub() {
		return nil
	}
	if _, err := login.ParseAllow(string(cfg.GitHubAllow)); err != nil {
		return fmt.Errorf("OCTOSTORE_GITHUB_ALLOW %w", err)
	}
	if _, err := gitHubSecret(cfg); err != nil {
		return err
	}
	if cfg.PublicURL == "" && s.listener != nil && !isLoopback(s.listener) {
		return errors.New("OCTOSTORE_PUBLIC_URL is missing: to log in by GitHub, browsers have to find this server; want a URL like https://locks.example.com")
	}
	return nil
}

// checkExposure refuses an address that strangers reach where there is nothing yet that
// could hold a token. Whether a database has one is known when it is open.
func (s *server) checkExposure(cfg config.Config) error {
	if exposed := s.exposed(cfg); exposed != "" && !guarded(cfg) && !exists(string(cfg.DB)) {
		return &exposedError{exposed}
	}
	return nil
}

// guarded reports whether requests need a token whatever the database holds.
func guarded(cfg config.Config) bool { return cfg.TokensFile != "" || cfg.LoginByGitHub() }

// warnVolatile tells that a restart of the machine forgets every lease.
func warnVolatile(log *slog.Logger, db string) {
	if dir := filepath.Dir(absolute(db)); sqlite.Volatile(dir) {
		log.Log(context.Background(), slog.LevelWarn, volatilePlace, "dir", dir)
	}
}

const volatilePlace = "the database is on a file system in memory: a restart of the machine forgets every lease, token and record"

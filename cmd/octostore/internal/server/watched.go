package server

import (
	"os"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/filewatch"
	"github.com/octostore/octostore/hooks"
)

// watchedFiles are the files that are loaded again when they change. Each group is loaded by
// itself, and a group that cannot be loaded stays as it was.
type watchedFiles struct {
	certificate, tokens, policies *filewatch.Group // nil: there are none
	watch                         *filewatch.Watch // nil: it has not begun
}

// newWatchedFiles looks at the files of a server that are about to be loaded.
func newWatchedFiles(s *server, cfg config.Config) (w watchedFiles) {
	if cfg.TLSCert != "" {
		names := []string{string(cfg.TLSCert), string(cfg.TLSKey)}
		w.certificate = filewatch.NewGroup(func() []string { return names }, s.reloadCertificate)
	}
	if cfg.TokensFile != "" {
		names := []string{string(cfg.TokensFile)}
		w.tokens = filewatch.NewGroup(func() []string { return names }, s.reloadChangedTokens)
	}
	if cfg.Policies != "" {
		manifest := string(cfg.Policies)
		w.policies = filewatch.NewGroup(func() []string { return hooks.Files(manifest) }, func() { s.policies.reloadHere() })
	}
	return w
}

// begin begins to look at the files again, at an interval; 0: never.
func (w *watchedFiles) begin(every time.Duration) {
	var groups []*filewatch.Group
	for _, g := range []*filewatch.Group{w.certificate, w.tokens, w.policies} {
		if g != nil {
			groups = append(groups, g)
		}
	}
	w.watch = filewatch.Begin(every, groups...)
}

// close ends the watch, and waits for a load under way.
func (w *watchedFiles) close() {
	if w.watch != nil {
		w.watch.Close()
	}
}

func (s *server) reloadCertificate() {
	if err := s.watched.certificate.Load(s.certificate.Reload); err != nil {
		s.log.Error("the certificate is as it was", "err", err)
		return
	}
	s.log.Info("the certificate was read again", "expires", s.certificate.Expires())
}

// reloadChangedTokens is reloadTokens, except for an empty file: a full disk leaves one where
// a file was to be written, and it would revoke all tokens of the file.
func (s *server) reloadChangedTokens() {
	if info, err := os.Stat(string(s.cfg.TokensFile)); err != nil || info.Size() > 0 {
		s.reloadTokens()
		return
	}
	_ = s.watched.tokens.Load(func() error {
		s.log.Error("the tokens file is empty: all tokens are as they were; SIGHUP loads an empty file", "file", string(s.cfg.TokensFile))
		return nil
	})
}

func (s *server) reloadTokens() {
	_ = s.watched.tokens.Load(func() error { // it says what came of it
		s.tokensChanged.Store(true) // before the look: a term that is being opened may have read the file already
		if t := s.serving(); t != nil {
			t.tokens.reload()
		}
		return nil
	})
}

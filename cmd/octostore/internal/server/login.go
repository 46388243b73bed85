package server

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/transport/login"
)

// openLogin lets people log in by GitHub, or returns nil if that is not configured.
func openLogin(cfg config.Config, s *server, t *term, log *slog.Logger) (*login.GitHub, error) {
	if !cfg.LoginByGitHub() {
		return nil, nil
	}
	allow, err := login.ParseAllow(string(cfg.GitHubAllow))
	if err != nil {
		return nil, fmt.Errorf("OCTOSTORE_GITHUB_ALLOW %w", err)
	}
	secret, err := preflight.GitHubSecret(cfg)
	if err != nil {
		return nil, err
	}
	public := string(cfg.PublicURL)
	if public == "" {
		public = s.url()
	}
	if names := allow.Unpinned(); len(names) > 0 {
		log.Warn(
			"OCTOSTORE_GITHUB_ALLOW has names without a number: a later owner of such a name at GitHub may log in",
			"names", strings.Join(names, " "),
		)
	}
	return login.Open(login.Config{
		ClientID: string(cfg.GitHubClientID), ClientSecret: secret, Allow: allow, Tokens: t.tokens.Tokens,
		TokenTTL: cfg.LoginTokenTTL, PublicURL: public, URL: string(cfg.GitHubURL), Logger: log,
	})
}

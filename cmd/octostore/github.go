package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/transport/login"
)

// openLogin lets people log in by GitHub, or returns nil if that is not configured.
func openLogin(cfg config.Config, s *server, log *slog.Logger) (*login.GitHub, error) {
	if !cfg.LoginByGitHub() {
		return nil, nil
	}
	allow, err := login.ParseAllow(string(cfg.GitHubAllow))
	if err != nil {
		return nil, fmt.Errorf("OCTOSTORE_GITHUB_ALLOW %w", err)
	}
	secret, err := gitHubSecret(cfg)
	if err != nil {
		return nil, err
	}
	public := string(cfg.PublicURL)
	if public == "" {
		public = s.url()
	}
	if names := allow.Unpinned(); len(names) > 0 {
		log.Warn("OCTOSTORE_GITHUB_ALLOW has names without a number: whoever gets such a name at GitHub later may log in", "names", strings.Join(names, " "))
	}
	return login.Open(login.Config{
		ClientID: string(cfg.GitHubClientID), ClientSecret: secret, Allow: allow, Tokens: s.tokens.Tokens,
		TokenTTL: cfg.LoginTokenTTL, PublicURL: public, URL: string(cfg.GitHubURL), Logger: log,
	})
}

// gitHubSecret returns the secret of the OAuth app. Its errors show nothing of it.
func gitHubSecret(cfg config.Config) (string, error) {
	if cfg.GitHubSecretFile == "" {
		return string(cfg.GitHubSecret), nil
	}
	const most = 1024
	path := string(cfg.GitHubSecretFile)
	text, _, err := files.ReadSecret(path, most)
	if err != nil {
		return "", fmt.Errorf("OCTOSTORE_GITHUB_CLIENT_SECRET_FILE: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsAny(secret, " \n\r\t") {
		return "", fmt.Errorf("OCTOSTORE_GITHUB_CLIENT_SECRET_FILE: %s does not hold one secret and nothing else", path)
	}
	return secret, nil
}

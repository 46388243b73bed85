package preflight

import (
	"fmt"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/files"
)

// GitHubSecret returns the secret of the OAuth app. Its errors do not contain the secret.
func GitHubSecret(cfg config.Config) (string, error) {
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

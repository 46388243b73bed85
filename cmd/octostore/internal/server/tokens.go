package server

import (
	"context"
	"log/slog"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
)

// tokens are the tokens of a running server.
type tokens struct {
	*auth.Tokens
	file string // may be read again; empty: there is none
	log  *slog.Logger
}

// openTokens reads all tokens.
func openTokens(ctx context.Context, t *term, cfg config.Config, log *slog.Logger) (*tokens, error) {
	file := string(cfg.TokensFile)
	known, err := auth.Open(ctx, auth.Config{
		Store: t.store, Recorder: t.table, File: file,
		TokensRequired: cfg.LoginByGitHub(), Retention: cfg.TokenRetention, Logger: log,
	})
	if err != nil {
		return nil, err // it says of what
	}
	return &tokens{Tokens: known, file: file, log: log}, nil
}

// reload reads the tokens file again.
func (t *tokens) reload() {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	changes, err := t.Reload(ctx)
	if err != nil && changes == "" {
		t.log.Error(
			"the tokens file cannot be used: all tokens are as they were, and those that were taken out of the file are still good",
			"file", t.file,
			"err", err,
		)
		return
	}
	t.log.Info("tokens file read", "changes", changes, "err", err)
}

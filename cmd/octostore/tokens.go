package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
)

// tokens are the tokens of a running server.
type tokens struct {
	*auth.Tokens
	log     *slog.Logger
	hangups chan os.Signal // nil: there is no file to read again
	once    sync.Once
	ended   sync.WaitGroup
}

// openTokens reads all tokens, and those of the file again at every SIGHUP.
func openTokens(ctx context.Context, s *server, cfg config.Config, log *slog.Logger) (*tokens, error) {
	file := string(cfg.TokensFile)
	known, err := auth.Open(ctx, auth.Config{
		Store: s.store, Recorder: s.table, File: file, Closed: cfg.LoginByGitHub(), Logger: log,
	})
	if err != nil {
		return nil, err // it says of what
	}
	t := &tokens{Tokens: known, log: log}
	if file == "" {
		return t, nil
	}
	t.hangups = make(chan os.Signal, 1)
	signal.Notify(t.hangups, syscall.SIGHUP)
	t.ended.Go(func() {
		for range t.hangups {
			t.reload()
		}
	})
	return t, nil
}

func (t *tokens) reload() {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	changes, err := t.Reload(ctx)
	if err != nil && changes == "" {
		t.log.Error("the tokens of the file are as they were", "err", err)
		return
	}
	t.log.Info("tokens file read", "changes", changes, "err", err)
}

// Close ends the signals and what goes on with the tokens.
func (t *tokens) Close() error {
	t.once.Do(func() {
		if t.hangups != nil {
			signal.Stop(t.hangups)
			close(t.hangups)
			t.ended.Wait()
		}
	})
	return t.Tokens.Close()
}

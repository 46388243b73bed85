package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// offline are the tokens of a database no server runs on. It has the parts of a server
// that keep the record, so that what is done offline is on it too.
type offline struct{ *server }

func openOffline(ctx context.Context, cfg config.Config) (_ *offline, err error) {
	s := &server{}
	defer func() {
		if err != nil {
			_ = s.close() // what went wrong first is what counts
		}
	}()
	log := slog.New(slog.DiscardHandler)
	s.store, err = openSQLite(ctx, string(cfg.DB), log)
	if errors.Is(err, sqlite.ErrInUse) {
		return nil, fmt.Errorf("%w; to ask the server that runs on it, set OCTOSTORE_URL to where it is and OCTOSTORE_TOKEN to an admin token", err)
	}
	if err != nil {
		return nil, err
	}
	if err := s.openTable(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open the lock table: %w", err)
	}
	if s.tokens, err = openTokens(ctx, s, config.Config{}, log); err != nil {
		return nil, err
	}
	return &offline{s}, nil
}

// byHand is who does what is done offline.
var byHand = lock.Origin{Actor: lock.Actor{UserAgent: "octostore token, on the database"}}

// Tokens implements [tokenKeeper].
func (o *offline) Tokens(context.Context) ([]api.Token, error) {
	all := []api.Token{}
	for _, t := range o.tokens.List() {
		all = append(all, transport.ShowToken(t))
	}
	return all, nil
}

// CreateToken implements [tokenKeeper].
func (o *offline) CreateToken(ctx context.Context, w client.TokenSpec) (api.NewToken, error) {
	scopes, err := auth.ParseScopes(w.Scopes)
	if err != nil {
		return api.NewToken{}, err
	}
	t, secret, err := o.tokens.Create(ctx, byHand, auth.TokenSpec{Account: w.Account, Name: w.Name, Scopes: scopes, Expires: w.Expires})
	return api.NewToken{Token: transport.ShowToken(t), Secret: secret}, err
}

// RotateToken implements [tokenKeeper].
func (o *offline) RotateToken(ctx context.Context, id string, grace time.Duration) (api.NewToken, error) {
	t, secret, err := o.tokens.Rotate(ctx, byHand, id, grace)
	return api.NewToken{Token: transport.ShowToken(t), Secret: secret}, err
}

// RevokeToken implements [tokenKeeper].
func (o *offline) RevokeToken(ctx context.Context, id string) (api.Token, error) {
	t, err := o.tokens.Revoke(ctx, byHand, id)
	return transport.ShowToken(t), err
}

// Package offline changes the tokens of a table that no server serves, and writes the same
// audit records as a server.
package offline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// Tokens are the tokens of a table that no server serves.
type Tokens struct {
	store   Store
	journal *journal.Journal
	table   *table.Table // keeps the record, so that what is done offline is on it too
	tokens  *auth.Tokens
}

// Open opens the tokens in a store. Close closes the store, too, and so does an error.
func Open(ctx context.Context, store Store) (_ *Tokens, err error) {
	o := &Tokens{store: store, journal: journal.New(store)}
	if o.table, err = table.Open(ctx, o.journal, table.Config{Full: store.Full, Published: o.journal.Publish}); err != nil {
		_ = o.Close() // the first error is the one to return
		return nil, fmt.Errorf("open the lock table: %w", err)
	}
	if o.tokens, err = auth.Open(ctx, auth.Config{Store: store, Recorder: o.table, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		_ = o.Close()
		return nil, err // it says of what
	}
	return o, nil
}

// Close closes the store.
func (o *Tokens) Close() error {
	var all []error
	if o.tokens != nil {
		all = append(all, o.tokens.Close())
	}
	if o.table != nil {
		all = append(all, o.table.Close(), o.journal.Close())
	}
	return errors.Join(append(all, o.store.Close())...)
}

// byHand is the origin of all changes made offline.
var byHand = lock.Origin{Actor: lock.Actor{UserAgent: "octostore token, on the database"}}

// Tokens returns all tokens, revoked and expired ones too.
func (o *Tokens) Tokens(context.Context) ([]api.Token, error) {
	all := []api.Token{}
	for _, t := range o.tokens.List() {
		all = append(all, transport.ShowToken(t))
	}
	return all, nil
}

// CreateToken creates a token and returns it with its secret.
func (o *Tokens) CreateToken(ctx context.Context, w client.TokenSpec) (api.NewToken, error) {
	scopes, err := auth.ParseScopes(w.Scopes)
	if err != nil {
		return api.NewToken{}, err
	}
	t, secret, err := o.tokens.Create(ctx, byHand, auth.TokenSpec{Account: w.Account, Name: w.Name, Scopes: scopes, Expires: w.Expires})
	return api.NewToken{Token: transport.ShowToken(t), Secret: secret}, err
}

// RotateToken replaces a token by a new one. The old one stays valid for the grace period.
func (o *Tokens) RotateToken(ctx context.Context, id string, grace time.Duration) (api.NewToken, error) {
	t, secret, err := o.tokens.Rotate(ctx, byHand, id, grace)
	return api.NewToken{Token: transport.ShowToken(t), Secret: secret}, err
}

// RevokeToken revokes a token.
func (o *Tokens) RevokeToken(ctx context.Context, id string) (api.Token, error) {
	t, err := o.tokens.Revoke(ctx, byHand, id)
	return transport.ShowToken(t), err
}

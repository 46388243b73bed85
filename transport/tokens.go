package transport

import (
	"context"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// administeredTokens returns the tokens, if the caller may change them.
func (a *API) administeredTokens(c *caller) (*auth.Tokens, error) {
	if err := core.MayAll(c.principal, "see or change tokens", auth.Admin); err != nil {
		return nil, err
	}
	if a.tokens == nil {
		return nil, problem.ErrNotFound
	}
	return a.tokens, nil
}

// listTokens shows a page of the tokens, revoked ones too, and no secret.
func (a *API) listTokens(_ context.Context, c *caller, p *param.Values) (none wire.JSON, err error) {
	tokens, err := a.administeredTokens(c)
	if err != nil {
		return none, err
	}
	limit, err := p.LargePageSize(param.Limit)
	if err != nil {
		return none, err
	}
	page, next, err := tokens.Page(p.Text(param.After), limit)
	if err != nil {
		return none, err
	}
	list := api.TokenList{Tokens: []api.Token{}, Next: next}
	for _, t := range page {
		list.Tokens = append(list.Tokens, ShowToken(t))
	}
	return wire.JSON{Value: list}, nil
}

// createToken creates a token and shows its secret, once.
func (a *API) createToken(ctx context.Context, c *caller, p *param.Values) (none wire.JSON, err error) {
	tokens, err := a.administeredTokens(c)
	if err != nil {
		return none, err
	}
	w := auth.TokenSpec{Account: p.Text(param.Account), Name: p.Text(param.Name)}
	if w.Scopes, err = auth.ParseScopes(p.Text(param.Scopes)); err != nil {
		return none, err
	}
	if w.Expires, err = p.PositiveDuration(param.Expires); err != nil {
		return none, err
	}
	if !tokens.TokensRequired() && !w.Scopes.Admin() {
		return none, &input.Error{
			Field: "scopes", Problem: "do not have admin, and this is the first token: no account could create another one",
			Want: "a first token with the scope admin",
		}
	}
	if err := a.limits.NewToken(c.started); err != nil {
		return none, err
	}
	t, secret, err := tokens.Create(ctx, c.actor(), w)
	if err != nil {
		return none, err
	}
	return wire.JSON{Value: api.NewToken{Token: ShowToken(t), Secret: secret}}, nil
}

// revokeToken revokes a token, and refuses the requests that wait with it.
func (a *API) revokeToken(ctx context.Context, c *caller, p *param.Values) (none wire.JSON, err error) {
	tokens, err := a.administeredTokens(c)
	if err != nil {
		return none, err
	}
	t, err := tokens.Revoke(ctx, c.actor(), p.TokenID)
	if err != nil {
		return none, err
	}
	return wire.JSON{Value: ShowToken(t)}, nil
}

// rotateToken replaces a token by a new one.
func (a *API) rotateToken(ctx context.Context, c *caller, p *param.Values) (none wire.JSON, err error) {
	tokens, err := a.administeredTokens(c)
	if err != nil {
		return none, err
	}
	grace, err := p.PositiveDuration(param.Grace)
	if err != nil {
		return none, err
	}
	if err := a.limits.NewToken(c.started); err != nil {
		return none, err
	}
	t, secret, err := tokens.Rotate(ctx, c.actor(), p.TokenID, grace)
	if err != nil {
		return none, err
	}
	return wire.JSON{Value: api.NewToken{Token: ShowToken(t), Secret: secret}}, nil
}

// logout revokes the token that the request came with.
func (a *API) logout(ctx context.Context, c *caller, _ *param.Values) (none wire.JSON, err error) {
	if c.principal.TokenID == "" {
		return none, auth.ErrUnknownID
	}
	t, err := a.tokens.Revoke(ctx, c.actor(), c.principal.TokenID)
	if err != nil {
		return none, err
	}
	return wire.JSON{Value: ShowToken(t)}, nil
}

// ShowToken returns a token as the API shows it.
func ShowToken(t auth.Token) api.Token {
	return api.Token{
		ID: t.ID, Name: t.Name, Account: t.Account, Scopes: t.Scopes.String(), CreatedAt: t.Created,
		ExpiresAt: orNone(t.Expires), UsedAt: orNone(t.Used), RevokedAt: orNone(t.Revoked), FromFile: t.FromFile,
	}
}

func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

package transport

import (
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/problem"
)

// administers returns the tokens to those who may change them.
func (x *exchange) administers() (*auth.Tokens, error) {
	if err := core.MayAll(x.who, "see or change tokens", auth.Admin); err != nil {
		return nil, err
	}
	if x.api.tokens == nil {
		return nil, problem.ErrNotFound
	}
	return x.api.tokens, nil
}

// listTokens shows all tokens, revoked ones too, and no secret.
func (x *exchange) listTokens() error {
	tokens, err := x.administers()
	if err != nil {
		return err
	}
	list := api.TokenList{Tokens: []api.Token{}}
	for _, t := range tokens.List() {
		list.Tokens = append(list.Tokens, ShowToken(t))
	}
	return x.json(list)
}

// createToken makes a token and shows its secret, once.
func (x *exchange) createToken() error {
	tokens, err := x.administers()
	if err != nil {
		return err
	}
	p := &x.params
	w := auth.TokenSpec{Account: p.Text(param.Account), Name: p.Text(param.Name)}
	if w.Scopes, err = auth.ParseScopes(p.Text(param.Scopes)); err != nil {
		return err
	}
	if w.Expires, err = p.PositiveDuration(param.Expires); err != nil {
		return err
	}
	if !tokens.TokensRequired() && !w.Scopes.Admin() {
		return &input.Error{
			Field: "scopes", Problem: "do not have admin, and this is the first token: nobody could make another one",
			Want: "a first token with the scope admin",
		}
	}
	if err := x.api.limits.NewToken(x.started); err != nil {
		return err
	}
	t, secret, err := tokens.Create(x.context(), x.actor(), w)
	if err != nil {
		return err
	}
	return x.json(api.NewToken{Token: ShowToken(t), Secret: secret})
}

// revokeToken ends a token, and sends those who wait by it away.
func (x *exchange) revokeToken() error {
	tokens, err := x.administers()
	if err != nil {
		return err
	}
	t, err := tokens.Revoke(x.context(), x.actor(), x.params.TokenID)
	if err != nil {
		return err
	}
	return x.json(ShowToken(t))
}

// rotateToken makes a token in the place of another.
func (x *exchange) rotateToken() error {
	tokens, err := x.administers()
	if err != nil {
		return err
	}
	grace, err := x.params.PositiveDuration(param.Grace)
	if err != nil {
		return err
	}
	if err := x.api.limits.NewToken(x.started); err != nil {
		return err
	}
	t, secret, err := tokens.Rotate(x.context(), x.actor(), x.params.TokenID, grace)
	if err != nil {
		return err
	}
	return x.json(api.NewToken{Token: ShowToken(t), Secret: secret})
}

// actor is origin, with who it is.
func (x *exchange) actor() lock.Origin {
	o := x.origin()
	o.Actor.Account, o.Actor.TokenID = x.who.Account, x.who.TokenID
	return o
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

package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// TokenSpec says what a new token is to be.
type TokenSpec struct {
	Account string
	Name    string        // for people; may be empty
	Scopes  string        // like "acquire,read:team-a/** break:team-a/x"
	Expires time.Duration // from now, in whole milliseconds; 0: never
}

// Tokens returns all tokens, revoked ones too. Like all methods for tokens it needs the scope
// admin.
func (c *Client) Tokens(ctx context.Context) (all []api.Token, err error) {
	var query url.Values // none for the first page: an older server knows no parameters, and has no pages
	for {
		var page api.TokenList
		if err := c.call(ctx, http.MethodGet, "/v1/tokens", query, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Tokens...)
		if page.Next == "" {
			return all, nil
		}
		if len(page.Tokens) == 0 {
			return nil, errors.New("the server answered with an empty page of tokens that is not the last")
		}
		query = url.Values{"after": {page.Next}}
	}
}

// CreateToken creates a token. Only this answer shows its secret.
func (c *Client) CreateToken(ctx context.Context, w TokenSpec) (t api.NewToken, err error) {
	q := url.Values{"account": {w.Account}, "scopes": {w.Scopes}}
	if w.Name != "" {
		q.Set("name", w.Name)
	}
	if w.Expires != 0 {
		q.Set("expires", milliseconds(w.Expires))
	}
	err = c.call(ctx, http.MethodPost, "/v1/tokens", q, &t)
	return t, err
}

// RotateToken replaces a token by a new one. The old one stays valid for grace.
func (c *Client) RotateToken(ctx context.Context, id string, grace time.Duration) (t api.NewToken, err error) {
	q := url.Values{}
	if grace != 0 {
		q.Set("grace", milliseconds(grace))
	}
	err = c.call(ctx, http.MethodPost, "/v1/tokens/"+url.PathEscape(id)+"/rotate", q, &t)
	return t, err
}

// RevokeToken revokes a token.
func (c *Client) RevokeToken(ctx context.Context, id string) (t api.Token, err error) {
	err = c.call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(id), nil, &t)
	return t, err
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// call sends a request and reads its answer, of which it bounds the size.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, into any) error {
	const most = 16 << 20
	resp, err := c.do(ctx, method, path, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.read(ctx, io.LimitReader(resp.Body, most), into)
}

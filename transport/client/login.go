package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/octostore/octostore/transport/api"
)

// BeginLogin begins a login by a code that somebody types in at GitHub.
func (c *Client) BeginLogin(ctx context.Context) (d api.DeviceLogin, err error) {
	err = c.post(ctx, "/v1/login/device", nil, &d)
	return d, err
}

// PollLogin asks how far a login is. Once it is complete the answer is the only place that
// ever shows the secret of the token. An [*Error] with a status of 500 or more may pass;
// any other ends the login.
func (c *Client) PollLogin(ctx context.Context, d api.DeviceLogin) (l api.Login, err error) {
	err = c.post(ctx, "/v1/login/device/poll", url.Values{"device_id": {d.DeviceID}}, &l)
	return l, err
}

// Logout makes the client's own token useless.
func (c *Client) Logout(ctx context.Context) (t api.Token, err error) {
	err = c.post(ctx, "/v1/logout", nil, &t)
	return t, err
}

// post sends a form, for what is secret does not belong into a URL, and reads the answer.
func (c *Client) post(ctx context.Context, path string, form url.Values, into any) error {
	const most = 64 << 10
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.roundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of POST %s: %w", path, err)
	}
	return nil
}

package client

import (
	"context"
	"io"
	"net/url"

	"github.com/octostore/octostore/transport/api"
)

// BeginLogin begins a login with a code that a person enters at GitHub.
func (c *Client) BeginLogin(ctx context.Context) (d api.DeviceLogin, err error) {
	err = c.post(ctx, "/v1/login/device", nil, &d)
	return d, err
}

// PollLogin returns the state of a login. The answer of a complete login is the only one that
// shows the secret of the token. After an [*Error] with a status of 500 or more the client may
// poll again; any other error ends the login.
func (c *Client) PollLogin(ctx context.Context, d api.DeviceLogin) (l api.Login, err error) {
	err = c.post(ctx, "/v1/login/device/poll", url.Values{"device_id": {d.DeviceID}}, &l)
	return l, err
}

// Logout revokes the client's own token.
func (c *Client) Logout(ctx context.Context) (t api.Token, err error) {
	err = c.post(ctx, "/v1/logout", nil, &t)
	return t, err
}

// post sends a form and reads the answer.
func (c *Client) post(ctx context.Context, path string, form url.Values, into any) error {
	const most = 64 << 10
	req, err := c.formRequest(ctx, path, form)
	if err != nil {
		return err
	}
	resp, err := c.roundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.read(ctx, io.LimitReader(resp.Body, most), into)
}

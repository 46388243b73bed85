package transport

import (
	"context"
	"net/http"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/login"
)

// github returns the login, or an error if there is none.
func (a *API) github() (*login.GitHub, error) {
	if a.login == nil {
		return nil, login.ErrOff
	}
	return a.login, nil
}

// beginLogin redirects a browser to GitHub. A second login replaces the first.
func (x *exchange) beginLogin() error {
	github, err := x.api.github()
	if err != nil {
		return err
	}
	target, cookie := github.Begin(x.r.Host, x.started)
	login.SetHeaders(x.Header())
	if cookie != nil {
		http.SetCookie(x.w, cookie)
	}
	x.Header()["Location"] = []string{target}
	x.buf = x.buf[:0]
	return x.reply(http.StatusSeeOther, wire.TypeHTML)
}

// loginAgain returns the path of another attempt after a login that was refused with that
// status; empty: there is no login.
func (a *API) loginAgain(status int) string {
	switch {
	case status == http.StatusNotFound:
		return ""
	case a.public != nil:
		return a.public.Path + login.BeginPath
	}
	return login.BeginPath
}

// landLogin shows a button to a browser that returns from GitHub.
func (x *exchange) landLogin() error {
	github, err := x.api.github()
	if err != nil {
		return err
	}
	page, err := github.Land(x.r, x.callback(), x.started)
	if err != nil {
		return err
	}
	login.SetLandHeaders(x.Header())
	x.buf = append(x.buf[:0], page...)
	return x.reply(http.StatusOK, wire.TypeHTML)
}

// finishLogin creates a token and shows it, once.
func (x *exchange) finishLogin() error {
	github, err := x.api.github()
	if err != nil {
		return err
	}
	t, err := github.Finish(x.r, x.origin(), x.callback(), x.started, x.api.gitHubLimit(&x.caller))
	if err != nil {
		return err
	}
	login.SetHeaders(x.Header())
	http.SetCookie(x.w, github.Forget())
	x.buf = append(x.buf[:0], login.TokenPage(t)...)
	return x.deliverToken(github, t, wire.TypeHTML)
}

// gitHubLimit returns the function that counts the requests to GitHub that a caller causes,
// and refuses those above the limit.
func (a *API) gitHubLimit(c *caller) func() error {
	return func() error { return a.limits.GitHub(c.r.RemoteAddr, c.started) }
}

// deliverToken writes the answer that shows a token, and revokes the token if the answer could
// not be delivered.
func (x *exchange) deliverToken(github *login.GitHub, t login.Token, contentType []string) error {
	if x.through != nil {
		origin, service := x.origin(), x.api.service
		x.through.grant = forward.Grant{
			May: func() error {
				if !service.Owns() {
					return lock.ErrOutcomeUnknown
				}
				return nil
			},
			Undo: func() { github.Undo(context.Background(), origin, t) },
		}
	}
	err := x.deliver(contentType, x.times().Now)
	clear(x.buf) // the buffer is kept for other requests
	if err != nil {
		github.Undo(x.r.Context(), x.origin(), t)
	}
	return err
}

func (x *exchange) callback() login.Callback {
	p := &x.params
	return login.Callback{State: p.Text(param.State), Code: p.Text(param.Code), Error: p.Text(param.LoginError)}
}

// beginDevice begins a login with a code that a person types in at GitHub.
func (a *API) beginDevice(ctx context.Context, c *caller, _ *param.Values) (none wire.JSON, err error) {
	github, err := a.github()
	if err != nil {
		return none, err
	}
	d, err := github.BeginDevice(ctx, limit.NetworkOf(c.r.RemoteAddr).String(), a.gitHubLimit(c))
	if err != nil {
		return none, err
	}
	return wire.JSON{Value: api.DeviceLogin{
		DeviceID: d.ID, UserCode: d.UserCode, VerificationURI: d.URL,
		IntervalMS: d.Interval.Milliseconds(), ExpiresInMS: d.Life.Milliseconds(),
	}}, nil
}

// pollDevice shows the state of a login with a code, and its token, once.
func (x *exchange) pollDevice() error {
	github, err := x.api.github()
	if err != nil {
		return err
	}
	id := x.params.Text(param.DeviceID)
	if id == "" {
		return &input.Error{Field: "device_id", Problem: "is missing", Want: "the device_id from the answer of /v1/login/device"}
	}
	t, done, next, err := github.PollDevice(x.context(), x.origin(), id)
	if err != nil {
		return err
	}
	if !done {
		x.encode(api.Login{Status: api.LoginPending, IntervalMS: next.Milliseconds()})
		return x.reply(http.StatusOK, wire.TypeJSON)
	}
	x.encode(api.Login{Status: api.LoginComplete, Token: &api.NewToken{Token: ShowToken(t.Token), Secret: t.Secret}})
	return x.deliverToken(github, t, wire.TypeJSON)
}

// encode puts the JSON of a value of package api into x.buf.
func (x *exchange) encode(v any) { x.buf = wire.JSON{Value: v}.Append(x.buf[:0], wire.Times{}) }

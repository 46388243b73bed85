package transport

import (
	"net/http"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/login"
)

// github returns what people log in by, or that they cannot.
func (x *exchange) github() (*login.GitHub, error) {
	if x.api.login == nil {
		return nil, login.ErrOff
	}
	return x.api.login, nil
}

// beginLogin sends a browser to GitHub. Coming here twice does no harm: the later one
// counts.
func (x *exchange) beginLogin() error {
	github, err := x.github()
	if err != nil {
		return err
	}
	target, cookie := github.Begin(x.r.Host, x.started)
	login.SetHeaders(x.w.Header())
	if cookie != nil {
		http.SetCookie(x.w, cookie)
	}
	x.w.Header()["Location"] = []string{target}
	x.buf = x.buf[:0]
	x.reply(http.StatusSeeOther, typeHTML)
	return nil
}

// landLogin shows a button to a browser that comes back from GitHub.
func (x *exchange) landLogin() error {
	github, err := x.github()
	if err != nil {
		return err
	}
	page, err := github.Land(x.r, x.callback(), x.started)
	if err != nil {
		return err
	}
	login.SetLandHeaders(x.w.Header())
	x.buf = append(x.buf[:0], page...)
	x.reply(http.StatusOK, typeHTML)
	return nil
}

// finishLogin makes a token and shows it, once.
func (x *exchange) finishLogin() error {
	github, err := x.github()
	if err != nil {
		return err
	}
	t, err := github.Finish(x.r, x.origin(), x.callback(), x.started, x.mayAskGitHub)
	if err != nil {
		return err
	}
	login.SetHeaders(x.w.Header())
	http.SetCookie(x.w, github.Forget())
	x.buf = append(x.buf[:0], login.TokenPage(t)...)
	x.handOver(github, t, typeHTML)
	return nil
}

// mayAskGitHub counts a login that is about to have GitHub asked for the network it comes
// from, or says that there were too many.
func (x *exchange) mayAskGitHub() error { return x.api.limits.GitHub(x.r.RemoteAddr, x.started) }

// handOver writes the answer that shows a token. One that nobody has seen is ended.
func (x *exchange) handOver(github *login.GitHub, t login.Token, contentType []string) {
	err := x.deliver(http.StatusOK, contentType)
	clear(x.buf) // a buffer is kept for other requests
	if err != nil {
		github.Undo(x.r.Context(), x.origin(), t)
	}
}

func (x *exchange) callback() login.Callback {
	p := &x.params
	return login.Callback{State: p.Text(param.State), Code: p.Text(param.Code), Error: p.Text(param.LoginError)}
}

// beginDevice begins a login by a code that somebody types in at GitHub.
func (x *exchange) beginDevice() error {
	github, err := x.github()
	if err != nil {
		return err
	}
	d, err := github.BeginDevice(x.context(), limit.NetworkOf(x.r.RemoteAddr).String(), x.mayAskGitHub)
	if err != nil {
		return err
	}
	return x.json(api.DeviceLogin{
		DeviceID: d.ID, UserCode: d.UserCode, VerificationURI: d.URL,
		IntervalMS: d.Interval.Milliseconds(), ExpiresInMS: d.Life.Milliseconds(),
	})
}

// pollDevice says how far such a login is, and hands its token over, once.
func (x *exchange) pollDevice() error {
	github, err := x.github()
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
		return x.json(api.Login{Status: api.LoginPending, IntervalMS: next.Milliseconds()})
	}
	err = x.encode(api.Login{Status: api.LoginComplete, Token: &api.NewToken{Token: ShowToken(t.Token), Secret: t.Secret}})
	if err != nil {
		return err
	}
	x.handOver(github, t, typeJSON)
	return nil
}

// logout ends the token that the request came by.
func (x *exchange) logout() error {
	if x.who.TokenID == "" {
		return auth.ErrUnknownID
	}
	t, err := x.api.tokens.Revoke(x.context(), x.actor(), x.who.TokenID)
	if err != nil {
		return err
	}
	return x.json(ShowToken(t))
}

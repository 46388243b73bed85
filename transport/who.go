package transport

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/param"
)

// closed reports whether only a token opens the door.
func (a *API) closed() bool { return a.tokens != nil && a.tokens.TokensRequired() }

// admit finds out who sent the request, and counts it for its account or its address.
func (x *exchange) admit() error {
	if x.route.public {
		return x.passing()
	}
	if err := x.authenticate(); err != nil {
		return x.refusedOrLimited(err)
	}
	return x.count()
}

// passing counts a request that needs no token and has something like one: for its
// account if it is good, else for its address, as if it had none. Else anything at all in
// that header would get strangers around their limit.
func (x *exchange) passing() error {
	if !x.api.closed() || x.anonymous() || isProbe(x.r.URL.Path) {
		return nil
	}
	who, err := x.whoever()
	if err != nil {
		return x.api.limits.Address(x.r.RemoteAddr, x.started)
	}
	x.who = who
	return x.count()
}

// lost answers a request that no route serves.
func (x *exchange) lost(err error) { x.fail(cmp.Or(x.passing(), err)) }

// stillGood returns nil unless the token ended while the body came in, which may take ten
// seconds: what is asked for by a token that was revoked must not be done any more.
func (x *exchange) stillGood() error {
	if x.route.public || !x.hasBody() {
		return nil
	}
	return x.who.Err(time.Now())
}

// authenticate finds out who sent the request.
func (x *exchange) authenticate() error {
	var err error
	x.who, err = x.whoever()
	if err == nil {
		return nil
	}
	if param.TokenInQuery(x.r.URL.RawQuery) {
		return param.ErrTokenInURL
	}
	if isUnauthenticated(err) {
		x.api.tokens.CountFailure(x.r.RemoteAddr, err)
	}
	return err
}

// whoever returns who sent the request. While there are no tokens it is the local
// account, whatever credentials the request has: a client that is set up for a server
// with tokens is at home on one without.
func (x *exchange) whoever() (auth.Principal, error) {
	if x.api.tokens == nil {
		return auth.Local(), nil
	}
	if local, err := x.api.tokens.Local(); err == nil {
		return local, nil
	}
	secret, err := credential(x.r)
	if err != nil {
		return auth.Principal{}, err
	}
	return x.api.tokens.Authenticate(x.r.Context(), secret, x.started)
}

// credential returns the token of a request, from the one place where it may be. As the
// password of Basic it may come with any name.
func credential(r *http.Request) (string, error) {
	line, err := param.Header(r.Header, "Authorization")
	if err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(line, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.Trim(rest, " "), nil
	case strings.EqualFold(scheme, "Basic"):
		if _, password, ok := r.BasicAuth(); ok {
			return password, nil
		}
	}
	return "", auth.ErrNoToken
}

// challenge is what a 401 asks for.
var challenge = []string{`Bearer realm="octostore"`, `Basic realm="octostore", charset="UTF-8"`}

func isUnauthenticated(err error) bool {
	return errors.Is(err, auth.ErrNoToken) || errors.Is(err, auth.ErrBadToken) || errors.Is(err, auth.ErrExpired) || errors.Is(err, auth.ErrRevoked)
}

// bound makes the context of a request that may take long end with the token it came
// by, and when its client leaves, whatever that has sent. The caller calls release.
func (x *exchange) bound() (release func()) {
	ctx, end := x.who.Within(x.r.Context())
	x.ctx = ctx
	conn := x.connection()
	if conn == nil {
		return end // others share it, and HTTP/2 tells
	}
	stop := x.api.hangups.Watch(conn, end)
	return func() { stop(); end() }
}

// because returns why a request ended before it was done: its token, if that ended and
// the client is still there, else err. A grant must not be passed on then.
func (x *exchange) because(err error) error {
	cut := errors.Is(err, lock.ErrGone) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if !cut || x.r.Context().Err() != nil {
		return err
	}
	if ended := x.who.Err(time.Now()); ended != nil {
		return ended
	}
	return err
}

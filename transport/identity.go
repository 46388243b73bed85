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
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/param"
)

// requiresTokens reports whether requests need a token. They do once the first token exists.
func (a *API) requiresTokens() bool { return a.tokens != nil && a.tokens.TokensRequired() }

// identify finds the account of a request, and counts the request for its account or its
// address.
func (x *exchange) identify() error {
	if x.route.public {
		return x.identifyOptional()
	}
	if err := x.authenticate(); err != nil {
		return x.countRefused(err)
	}
	return x.countForAccount()
}

// identifyOptional counts a request that needs no token but has credentials: for its account if
// they are valid, else for its address. Otherwise any Authorization header would evade the limit
// for addresses.
func (x *exchange) identifyOptional() error {
	if !x.api.requiresTokens() || x.withoutCredentials() || isProbe(x.r.URL.Path) {
		return nil
	}
	who, err := x.authenticatedPrincipal()
	if err != nil {
		return x.api.limits.Address(x.r.RemoteAddr, x.started)
	}
	x.principal = who
	return x.countForAccount()
}

// failUnrouted answers a request that no route serves.
func (x *exchange) failUnrouted(err error) { x.fail(cmp.Or(x.identifyOptional(), err)) }

// recheckToken returns an error if the token ended while the body arrived, which may take ten
// seconds. A revoked token must not change anything.
func (x *exchange) recheckToken() error {
	if x.route.public || !x.hasBody {
		return nil
	}
	return x.principal.Err(time.Now())
}

// authenticate sets the principal of the request, and records what is wrong with its token.
func (x *exchange) authenticate() error {
	var err error
	x.principal, err = x.authenticatedPrincipal()
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

// authenticatedPrincipal returns the principal of the request. While there are no tokens it is
// the local account, whatever credentials the request has: a client configured for a server with
// tokens works on one without.
func (x *exchange) authenticatedPrincipal() (auth.Principal, error) {
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

// credential returns the token of a request, from the Authorization header. With Basic it is the
// password, and any user name will do.
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

// challenges is the WWW-Authenticate header of a 401.
var challenges = []string{`Bearer realm="octostore"`, `Basic realm="octostore", charset="UTF-8"`}

// challenge returns the WWW-Authenticate header for the request.
func (x *exchange) challenge() []string {
	if x.r == nil {
		return x.waiting.challenge
	}
	return challengeOf(x.r)
}

// challengeOf returns the challenge for a request. The page asks for a token itself, and says so
// in X-Requested-With; a browser would answer a challenge of Basic with a dialog of its own.
func challengeOf(r *http.Request) []string {
	if r.Header.Get("X-Requested-With") != "" {
		return challenges[:1:1]
	}
	return challenges
}

func isUnauthenticated(err error) bool {
	return errors.Is(err, auth.ErrNoToken) || errors.Is(err, auth.ErrBadToken) || errors.Is(err, auth.ErrExpired) ||
		errors.Is(err, auth.ErrRevoked)
}

// endWithToken makes the context of a request that may last long end when its token ends, and
// when its client leaves, even if the client has sent more bytes. The caller calls release.
func (x *exchange) endWithToken() (release func()) { return x.endEarly(conn.WatchDelay) }

// endEarly is endWithToken for a connection that is watched after the given time.
func (x *exchange) endEarly(watchAfter time.Duration) (release func()) {
	ctx, end := x.principal.Within(x.clientContext())
	x.ctx = ctx
	own := x.ownConnection()
	if own == nil {
		return end // over HTTP/2, net/http notices it
	}
	stop := x.api.door.hangups.Watch(own, end, watchAfter)
	return func() { stop(); end() }
}

// cause returns why a request ended early: its token, if that has ended and the client is still
// there, else err. No grant may be handed over then.
func (x *exchange) cause(err error) error {
	cut := errors.Is(err, lock.ErrGone) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if !cut || x.clientContext().Err() != nil {
		return err
	}
	if ended := x.principal.Err(time.Now()); ended != nil {
		return ended
	}
	return err
}

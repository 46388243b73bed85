package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/octostore/octostore/core/lock"
)

// ticketLife is how long a login in a browser may take.
const ticketLife = 10 * time.Minute

// Names of the cookie. Browsers accept the prefix __Host- only over https, for exactly this
// host. Plain http, which is for loopback only, has no such prefix.
const (
	secureCookie = "__Host-octostore-login"
	plainCookie  = "octostore-login"
)

// A ticket is its time of creation, in unix seconds, and enough random bytes to be
// unguessable.
const ticketBytes = 8 + 32

// Begin begins a login in a browser: the browser is to be redirected to target, with this
// cookie. Begin does not query GitHub and keeps nothing.
//
// On loopback a browser may have used another host name than the one GitHub redirects to,
// where the cookie would be missing. Then target is the beginning under that name, and cookie
// is nil.
func (g *GitHub) Begin(host string, now time.Time) (target string, cookie *http.Cookie) {
	if !g.secure && host != g.public.Host {
		return g.public.String() + BeginPath, nil
	}
	raw := make([]byte, ticketBytes)
	binary.BigEndian.PutUint64(raw, uint64(now.Unix()))
	rand.Read(raw[8:])
	ticket := base64.RawURLEncoding.EncodeToString(raw)
	target = g.oauth.AuthCodeURL(g.derive("state", ticket), oauth2.S256ChallengeOption(g.derive("verifier", ticket)))
	return target, g.cookie(ticket, int(ticketLife/time.Second))
}

// derive returns the state and the verifier of a ticket. Neither reveals the other or the
// ticket.
func (g *GitHub) derive(what, ticket string) string {
	mac := hmac.New(sha256.New, g.key)
	mac.Write([]byte(what + " " + ticket))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (g *GitHub) cookie(ticket string, age int) *http.Cookie {
	c := &http.Cookie{Name: plainCookie, Value: ticket, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if g.secure {
		c.Name, c.Secure = secureCookie, true
	}
	return c
}

// Forget returns a cookie that deletes the one of the login.
func (g *GitHub) Forget() *http.Cookie { return g.cookie("", -1) }

// ticket returns the ticket of a request if the state belongs to it. Otherwise this is not the
// browser that began the login: an attacker may want it to use the attacker's account (login
// CSRF).
func (g *GitHub) ticket(r *http.Request, state string, now time.Time) (string, error) {
	cookies := r.CookiesNamed(g.Forget().Name)
	if len(cookies) != 1 {
		return "", ErrNotBegun
	}
	ticket := cookies[0].Value
	raw, err := base64.RawURLEncoding.Strict().DecodeString(ticket)
	if err != nil || len(raw) != ticketBytes || !hmac.Equal([]byte(state), []byte(g.derive("state", ticket))) {
		return "", ErrNotBegun
	}
	if begun := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0); now.Sub(begun) > ticketLife {
		return "", ErrOver
	}
	return ticket, nil
}

// Callback are the parameters of the redirect from GitHub.
type Callback struct {
	State string
	Code  string
	Error string // instead of a code
}

// Land returns the page for a browser that returns from GitHub. Its button leads to
// [GitHub.Finish]. Land changes nothing, and may be called twice.
func (g *GitHub) Land(r *http.Request, c Callback, now time.Time) ([]byte, error) {
	if _, err := g.ticket(r, c.State, now); err != nil {
		return nil, err
	}
	switch {
	case c.Error == "access_denied":
		return nil, ErrDenied
	case c.Error != "" || c.Code == "":
		g.warn("to let a user log in", plain(c.Error))
		return nil, ErrUnavailable
	}
	return landPage(c, g.public.Path+CallbackPath), nil
}

// Finish creates a token for the browser that returns from GitHub. Once GitHub has accepted the
// code, the state is used up, whatever happens then; GitHub accepts a code once.
//
// mayAsk is called right before the request to GitHub, and not for a callback that causes
// none. Its error ends the attempt, and the browser may try again; nil allows it.
//
// Errors: [ErrNotBegun], [ErrOver], [ErrBusy], [ErrUnavailable], [ErrNotAllowed], that of
// mayAsk, and those of the tokens.
func (g *GitHub) Finish(r *http.Request, by lock.Origin, c Callback, now time.Time, mayAsk func() error) (Token, error) {
	ticket, err := g.ticket(r, c.State, now)
	if err != nil {
		return Token{}, err
	}
	leave, err := g.enter()
	if err != nil {
		return Token{}, err
	}
	defer leave()
	switch first, full := g.used.begin(c.State, now); {
	case full:
		return Token{}, ErrBusy
	case !first:
		return Token{}, ErrNotBegun
	}
	var from *oauth2.Token
	if err = allowed(mayAsk); err == nil {
		from, err = g.redeem(r.Context(), c.Code, ticket)
	}
	g.used.end(c.State, err == nil, now)
	if err != nil {
		return Token{}, err
	}
	return g.admit(r.Context(), by, from, "browser")
}

// allowed returns the result of mayAsk; nil if there is none.
func allowed(mayAsk func() error) error {
	if mayAsk == nil {
		return nil
	}
	return mayAsk()
}

// redeem exchanges a code for a GitHub token.
func (g *GitHub) redeem(ctx context.Context, code, ticket string) (*oauth2.Token, error) {
	from, err := g.oauth.Exchange(g.with(ctx), code, oauth2.VerifierOption(g.derive("verifier", ticket)))
	if code := errorCode(err); code == "bad_verification_code" || code == "invalid_grant" {
		return nil, ErrOver // the code was used before, or has expired
	}
	if err != nil {
		return nil, g.unavailable(ctx, "to redeem the code of a login", err)
	}
	return from, nil
}

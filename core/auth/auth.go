// Package auth authenticates requests by API tokens, and says what an account may do.
//
// A server starts without tokens: then there is one account, [Local], which may do
// everything, and the server listens on loopback only. From its first token on every
// request needs one. [Tokens] keeps all tokens in memory, so authentication costs a hash
// and a map lookup. They are stored in a [Store] and, optionally, in a tokens file of the
// operator.
//
// A token has an account, permissions ([Scopes]), and a secret of 256 random bits that is
// shown once. Only its SHA-256 is stored. A slow hash would add nothing: 256 random bits
// cannot be guessed.
package auth

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Reasons to refuse authentication. Each says what to do, and reveals nothing that the
// bearer of the token does not know.
var (
	ErrNoToken  = errors.New("this server wants a token, in the header Authorization: Bearer TOKEN, or as the password of Basic")
	ErrBadToken = errors.New("this token is not known here")
	ErrExpired  = errors.New("this token has expired")
	ErrRevoked  = errors.New("this token has been revoked")
)

// ErrUnknownID is the answer to a change of a token that does not exist or was revoked.
var ErrUnknownID = errors.New("there is no token with this id that could still be used")

// Verb is an action that a scope allows.
type Verb string

// Verbs.
const (
	Acquire  Verb = "acquire" // acquire, renew and release
	Read     Verb = "read"    // get, list and watch
	Break    Verb = "break"
	Audit    Verb = "audit"    // read the audit log
	Policies Verb = "policies" // show and reload policies; not about names
	Admin    Verb = "admin"    // create and revoke tokens, and so everything; not about names
)

// Verbs returns every verb there is.
func Verbs() []Verb { return []Verb{Acquire, Read, Break, Audit, Policies, Admin} }

// Principal is the account that a request was authenticated as. It is a small value, safe
// to copy and to share. The zero Principal may do nothing.
type Principal struct {
	Account string
	TokenID string // empty: without a token
	Groups  string // groups of the account according to its login; see [lock.Actor]

	scopes *Scopes
	life   *life // nil: it never ends
}

// LocalAccount is the name of the only account of a server without tokens.
const LocalAccount = "local"

// everything has the permissions of an administrator.
var everything = &Scopes{admin: true}

// Local returns the principal of a server without tokens. It may do everything.
func Local() Principal { return Principal{Account: LocalAccount, scopes: everything} }

// May reports whether the principal may do verb to the named lock.
func (p Principal) May(verb Verb, name lock.Name) bool {
	return p.scopes != nil && p.scopes.allow(verb, name)
}

// MaySome reports whether there are names the principal may do verb to.
func (p Principal) MaySome(verb Verb) bool { return p.scopes != nil && p.scopes.some(verb) }

// MayAll reports whether the principal may do verb to every name, and to records that are
// not about a name.
func (p Principal) MayAll(verb Verb) bool { return p.scopes != nil && p.scopes.every(verb) }

// ScopeList returns the scopes of the principal, each in the form of [ParseScopes]. For [Local]
// these are all verbs on all names; for the zero Principal there are none.
func (p Principal) ScopeList() []string {
	switch {
	case p.scopes == everything:
		return allScopes()
	case p.scopes == nil:
		return nil
	}
	return strings.Fields(p.scopes.text)
}

// allScopes returns every verb on every name.
func allScopes() (all []string) {
	for _, verb := range Verbs() {
		if verb == Policies || verb == Admin {
			all = append(all, string(verb))
			continue
		}
		all = append(all, string(verb)+":**")
	}
	return all
}

// Prefixes returns prefixes, sorted, none a prefix of another: every name the principal
// may do verb to begins with one of them.
func (p Principal) Prefixes(verb Verb) []string {
	if p.scopes == nil {
		return nil
	}
	return p.scopes.prefixes(verb)
}

// Scopes returns the permissions of the principal in the form of [ParseScopes]; empty for
// [Local], which may do everything, and for the zero Principal. Two principals with the same
// text may do the same.
func (p Principal) Scopes() string {
	if p.scopes == nil {
		return ""
	}
	return p.scopes.text
}

// Err returns nil while the token of the principal is valid, then [ErrRevoked] or
// [ErrExpired]. For [Local] it returns [ErrNoToken] once the server has tokens.
func (p Principal) Err(now time.Time) error {
	if p.life == nil {
		return nil
	}
	return p.life.err(now)
}

// Within returns a context that ends with ctx, or when [Principal.Err] stops returning nil;
// that error is then its cause. The caller calls cancel.
func (p Principal) Within(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	if p.life == nil {
		return context.WithCancel(ctx)
	}
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.life.ctx, func() { end(context.Cause(p.life.ctx)) })
	done := func() {}
	if until := p.life.until.Load(); until != 0 {
		ctx, done = context.WithDeadlineCause(ctx, time.Unix(0, until), ErrExpired)
	}
	return ctx, func() { stop(); done(); end(context.Canceled) }
}

// OnEnd has f called, in a goroutine of its own, when [Principal.Err] stops returning nil, or about
// then. The caller calls stop, which returns false if f has been called, or may be still.
func (p Principal) OnEnd(f func()) (stop func() bool) {
	if p.life == nil {
		return func() bool { return true }
	}
	stop = context.AfterFunc(p.life.ctx, f)
	until := p.life.until.Load()
	if until == 0 {
		return stop
	}
	timer := time.AfterFunc(time.Until(time.Unix(0, until)), f)
	return func() bool {
		silenced, unwatched := timer.Stop(), stop()
		return silenced && unwatched
	}
}

// life is the lifetime of a token, or of access without tokens.
type life struct {
	ctx   context.Context // ends with a cause
	end   context.CancelCauseFunc
	until atomic.Int64 // unix nanoseconds; 0: no end
}

func newLife(until time.Time) *life {
	l := &life{}
	if !until.IsZero() {
		l.until.Store(until.UnixNano())
	}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	return l
}

// shorten brings the end nearer, also for requests that are authenticated already.
func (l *life) shorten(until time.Time) {
	l.until.Store(until.UnixNano())
	time.AfterFunc(time.Until(until), func() { l.end(ErrExpired) })
}

func (l *life) err(now time.Time) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if until := l.until.Load(); until != 0 && now.UnixNano() >= until {
		return ErrExpired
	}
	return nil
}

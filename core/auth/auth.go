// Package auth says who a request comes from and what that account may do.
//
// A server begins without tokens: then there is one account, [Local], which may do
// everything, and the server listens on loopback only. From its first token on
// everybody needs one. [Tokens] knows them all in memory, so that asking costs a hash
// and a look into a map; what is known is kept in a [Store] and, if the operator likes,
// in a file of his own.
//
// A token is an account, what it may do ([Scopes]), and a secret of 256 random bits
// that is shown once. Only its SHA-256 is kept: there is nothing to guess, so a slow hash
// would protect nothing.
package auth

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Why a request is not let in. Each says what to do, and nothing that is not known to
// whoever has the token.
var (
	ErrNoToken  = errors.New("this server wants a token, in the header Authorization: Bearer TOKEN, or as the password of Basic")
	ErrBadToken = errors.New("this token is not known here")
	ErrExpired  = errors.New("this token has expired")
	ErrRevoked  = errors.New("this token has been revoked")
)

// ErrUnknownID is the answer to a change of a token that does not exist, or not any
// more.
var ErrUnknownID = errors.New("there is no token with this id that could still be used")

// Verb is one thing an account may be allowed to do with a name.
type Verb string

// Verbs.
const (
	Acquire  Verb = "acquire" // acquire, renew and release
	Read     Verb = "read"    // get, list and watch
	Break    Verb = "break"
	Audit    Verb = "audit"    // read the journal
	Policies Verb = "policies" // see what rules, and load it again; not about names
	Admin    Verb = "admin"    // make and revoke tokens, and so everything; not about names
)

// Verbs returns every verb there is.
func Verbs() []Verb { return []Verb{Acquire, Read, Break, Audit, Policies, Admin} }

// Principal is the account a request was authenticated as. It is a small value, safe to
// copy and to share. The zero Principal may do nothing.
type Principal struct {
	Account string
	TokenID string // empty: not by a token
	Groups  string // what the login said the account is a member of; see [lock.Actor]

	scopes *Scopes
	life   *life // nil: it does not end
}

// LocalAccount is the name of the only account of a server without tokens.
const LocalAccount = "local"

// everything is what an administrator may do.
var everything = &Scopes{admin: true}

// Local returns the principal of a server without tokens. It may do everything.
func Local() Principal { return Principal{Account: LocalAccount, scopes: everything} }

// May reports whether the principal may do verb to the named lock.
func (p Principal) May(verb Verb, name lock.Name) bool {
	return p.scopes != nil && p.scopes.allow(verb, name)
}

// MaySome reports whether there are names the principal may do verb to.
func (p Principal) MaySome(verb Verb) bool { return p.scopes != nil && p.scopes.some(verb) }

// MayAll reports whether the principal may do verb to every name, and to what is not
// about a name.
func (p Principal) MayAll(verb Verb) bool { return p.scopes != nil && p.scopes.every(verb) }

// Prefixes returns texts, in order, none the beginning of another, such that every name
// the principal may do verb to begins with one of them.
func (p Principal) Prefixes(verb Verb) []string {
	if p.scopes == nil {
		return nil
	}
	return p.scopes.prefixes(verb)
}

// Err returns nil as long as what the principal was authenticated by is good, then
// [ErrRevoked], [ErrExpired], or [ErrNoToken] if the server had no tokens before.
func (p Principal) Err(now time.Time) error {
	if p.life == nil {
		return nil
	}
	return p.life.err(now)
}

// Within returns a context that ends with ctx, and also when [Principal.Err] does not
// return nil any more, which is then its cause. The caller calls cancel.
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

// life is how long a token, or the open door, is good.
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

// shorten brings the end nearer, for those who are in already too.
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

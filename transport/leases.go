package transport

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
)

// renewLock extends a lease.
func (a *API) renewLock(ctx context.Context, c *caller, p *param.Values) (wire.Grant, error) {
	id, err := p.LeaseID()
	if err != nil {
		return wire.Grant{}, err
	}
	ttl, err := p.TTL()
	if err != nil {
		return wire.Grant{}, err
	}
	grant, err := a.service.Renew(ctx, c.principal, lock.RenewRequest{
		Origin: c.origin(), Name: p.Lock, LeaseID: id, TTL: ttl,
	})
	if err != nil {
		return wire.Grant{}, err
	}
	if !lasts(grant.Lease, time.Now()) {
		return wire.Grant{}, lock.ErrTooLate
	}
	return wire.Grant{Grant: grant, Text: p.PrefersText()}, nil
}

// releaseLock ends a lease and frees its lock.
func (a *API) releaseLock(ctx context.Context, c *caller, p *param.Values) (wire.Ended, error) {
	id, err := p.LeaseID()
	if err != nil {
		return wire.Ended{}, err
	}
	ended, err := a.service.Release(ctx, c.principal, lock.ReleaseRequest{
		Origin: c.origin(), Name: p.Lock, LeaseID: id,
	})
	return wire.Ended{Lease: ended}, err
}

// waiting is what an exchange has while it waits for a lock.
type waiting struct {
	name    lock.Name // of the lock
	asked   core.Asked
	asks    bool // there is something to wait for
	most    time.Duration
	text    bool   // the answer is to be text
	release func() // ends the context; nil: there is nothing to end
	left    bool   // the client has left while the exchange was parked

	// In place of the request, see forgetRequest.
	client    context.Context // ends when the client leaves
	challenge []string
}

// forgetRequest lets go of the request and its header, unless log or trace are to have them in
// the end.
func (x *exchange) forgetRequest() {
	if x.span != nil || x.api.log.Enabled(x.r.Context(), slog.LevelDebug) {
		return
	}
	x.waiting.client, x.waiting.challenge = x.r.Context(), x.challenge()
	x.r = nil
}

// acquire asks for the lock. The answer is awaited by awaitGrant, when the handler has returned.
func (x *exchange) acquire() error {
	req, err := acquireRequest(&x.caller, &x.params)
	if err != nil {
		return err
	}
	w := &x.waiting
	w.name, w.most, w.text = req.Name, x.api.service.Wait(req.Wait), x.params.PrefersText()
	w.asked, err = x.api.service.Ask(x.context(), x.principal, &req)
	w.asks = err == nil
	return x.cause(err)
}

// parker is a ResponseWriter whose connection does without a goroutine while a request waits.
type parker interface {
	// Park says that the handler is about to return without an answer, which follows in Resume.
	Park()
	// Resume calls work, which goes on with the answer, when the handler has returned. It is
	// called once, by any goroutine, perhaps before Park.
	Resume(work func())
}

// awaitGrant waits for the answer to an acquire, and delivers the grant. Many requests may wait at
// a time. So the frames of everything that came before have left the stack, and a request that
// waits for long has only what it needs for that; if its connection can, not even a goroutine:
// then parked is true, and the exchange belongs to resume.
func (x *exchange) awaitGrant() (parked bool) {
	w := &x.waiting
	if w.most > 0 && !x.waitBriefly() {
		x.leaveWorkspace()
		x.forgetRequest()
		switch p, can := x.w.(parker); {
		case !can:
			x.endWait()
		case w.asked.Park(x.watchParked, x.resume):
			p.Park()
			return true
		default:
			x.unpark()
		}
	}
	x.takeGrant()
	return false
}

// mostBrief is how many requests wait briefly at a time. Each has a stack, and once there are more,
// most of them wait for longer anyway.
const mostBrief = 256

// waitBriefly waits for as long as it is not worth while to park.
func (x *exchange) waitBriefly() (answered bool) {
	most := conn.WatchDelay
	if x.api.brief.Add(1) > mostBrief {
		most = time.Nanosecond
	}
	defer x.api.brief.Add(-1)
	return x.waiting.asked.WaitBriefly(x.context(), most)
}

// endWait has the end of the token and of the connection end a long wait.
func (x *exchange) endWait() { x.waiting.release = x.endEarly(0) }

// watchParked is endWait while the exchange is parked, with less memory. Like all that wakes a
// parked request, wake is not to be called by the goroutine that notices the end.
func (x *exchange) watchParked(wake func()) (stop func() bool) {
	ends := [...]func() bool{context.AfterFunc(x.clientContext(), wake), x.principal.OnEnd(wake), nil}
	if own := x.ownConnection(); own != nil {
		ends[2] = x.api.door.hangups.Watch(own, func() { go wake() }, 0)
	}
	return func() bool {
		silent := ends[0]()
		silent = ends[1]() && silent
		x.waiting.left = ends[2] != nil && !ends[2]()
		return silent && !x.waiting.left
	}
}

// unpark ends the parking. If the client has left, so has the context; else it is watched again,
// unless there is an answer.
func (x *exchange) unpark() {
	answering := x.waiting.asked.Unpark()
	switch {
	case x.waiting.left:
		ctx, end := context.WithCancel(x.clientContext())
		end()
		x.ctx = ctx
	case !answering:
		x.endWait()
	}
}

// resume goes on with an exchange that was parked.
func (x *exchange) resume() { x.w.(parker).Resume(x.goOn) }

func (x *exchange) goOn() {
	defer func() { x.finish(recover()) }()
	x.unpark()
	x.takeGrant()
}

// takeGrant waits for the answer to an acquire if there is none yet, and delivers the grant.
func (x *exchange) takeGrant() {
	grant, err := x.waiting.asked.Wait(x.context(), &x.principal)
	x.takeWorkspace()
	x.answerAcquire(grant, err)
}

//go:noinline
func (x *exchange) answerAcquire(grant table.Grant, err error) {
	if err == nil {
		err = x.deliverGrant(grant, x.waiting.most, x.waiting.text)
	}
	if err != nil {
		x.fail(x.cause(err))
	}
}

func acquireRequest(c *caller, p *param.Values) (core.AcquireRequest, error) {
	req := core.AcquireRequest{
		Origin:   c.origin(),
		Name:     p.Lock,
		Holder:   p.Text(param.Holder),
		Reason:   p.Text(param.Reason),
		Metadata: p.Metadata(),
	}
	var err error
	if req.TTL, err = p.TTL(); err != nil {
		return req, err
	}
	if req.Confirm, err = p.Confirm(); err != nil {
		return req, err
	}
	if req.Wait, err = p.Wait(); err != nil {
		return req, err
	}
	req.Key, err = p.Key()
	return req, err
}

// breakLease ends the lease of another client, and gives the lock to the caller if the
// request says so.
func (x *exchange) breakLease() error {
	p := &x.params
	cause := strings.Trim(p.Text(param.Reason), " ")
	if cause == "" {
		return &input.Error{Field: "reason", Problem: "is missing", Want: "why the lease is broken, for the record"}
	}
	token, err := p.FencingToken()
	if err != nil {
		return err
	}
	take, err := p.Flag(param.Take)
	if err != nil {
		return err
	}
	breaking := lock.BreakRequest{Origin: x.origin(), Name: p.Lock, Token: token, Cause: cause}
	if take {
		return x.breakAndTake(breaking)
	}
	if useless := p.Given() & param.SetOf(param.TTL, param.Confirm, param.Holder, param.Metadata); useless != 0 || p.Metadata() != nil {
		return &input.Error{
			Field:   "take",
			Problem: "is missing",
			Want:    "take=1 beside ttl, confirm, holder and metadata, which are of the lease that is taken",
		}
	}
	ended, err := x.api.service.Break(x.context(), x.principal, breaking)
	if err != nil {
		return err
	}
	answer := wire.Ended{Lease: ended}
	x.buf = answer.Append(x.buf[:0], wire.Times{})
	return x.reply(http.StatusOK, wire.TypeJSON)
}

// breakAndTake breaks the lease and grants the lock to the caller, as acquire does.
func (x *exchange) breakAndTake(breaking lock.BreakRequest) error {
	p := &x.params
	ttl, err := p.TTL()
	if err != nil {
		return err
	}
	confirm, err := p.Confirm()
	if err != nil {
		return err
	}
	grant, err := x.api.service.Take(x.context(), x.principal, breaking, core.AcquireRequest{
		Origin: breaking.Origin, TTL: ttl, Confirm: confirm, Holder: p.Text(param.Holder), Reason: breaking.Cause, Metadata: p.Metadata(),
	})
	if err != nil {
		return err
	}
	return x.cause(x.deliverGrant(grant, 0, p.PrefersText()))
}

// deliverGrant delivers a grant to its holder, or undoes it. If anything fails before the answer
// has left the process, the grant is undone: no client may hold a lock without knowing it. A
// grant that was delivered is never undone.
func (x *exchange) deliverGrant(grant table.Grant, wait time.Duration, text bool) error {
	undo := true
	defer func() {
		if undo {
			x.api.service.Undo(grant)
		}
	}()
	if x.context().Err() != nil || x.hasLeft() {
		return lock.ErrGone
	}
	times := x.times()
	if err := x.principal.Err(times.Now); err != nil {
		return err
	}
	if !lasts(grant.Lease, times.Now) {
		undo = false // it ends by itself
		return lock.ErrTooLate
	}
	answer := wire.Grant{Grant: grant, Wait: wait, Text: text}
	x.buf = answer.Append(x.buf[:0], times)
	if x.through != nil {
		x.through.grant = x.api.throughNode(grant, x.principal)
	}
	err := x.deliver(answer.Head().ContentType, times.Now)
	undo = err != nil
	return err
}

// throughNode returns what another node has to ask for before it delivers the grant.
func (a *API) throughNode(g table.Grant, to auth.Principal) forward.Grant {
	return forward.Grant{
		Token: g.Lease.Token,
		May: func() error {
			now := time.Now()
			switch {
			case !a.service.Owns():
				return lock.ErrOutcomeUnknown
			case !lasts(g.Lease, now):
				return lock.ErrTooLate
			}
			return to.Err(now)
		},
		Undo: func() { a.service.Undo(g) },
	}
}

// lasts reports whether the lease has at least a millisecond left, the least an
// answer can speak of.
func lasts(l *lock.Lease, now time.Time) bool {
	return l.ExpiresAt.Sub(now) >= time.Millisecond
}

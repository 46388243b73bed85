package table_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// actor is a client of the simulation: forgetful, late, sometimes lying.
type actor struct {
	w       *world
	id      int
	account string
	name    lock.Name
	key     string
	ttl     time.Duration
	confirm time.Duration
	hangUp  context.CancelFunc // nil: no acquire is under way
	think   atomic.Bool        // its policies are being asked
	grant   *table.Grant       // the newest it was given, perhaps long over
	granted string             // the key it was given that for; empty: none
	keys    int
}

func newActor(w *world, id int) *actor {
	return &actor{w: w, id: id, account: fmt.Sprint("acct", id%2)}
}

func (a *actor) waiting() bool { return a.hangUp != nil }
func (a *actor) thinks() bool  { return a.think.Load() }

func (a *actor) origin() lock.Origin {
	return lock.Origin{Actor: lock.Actor{Account: a.account}, RequestID: fmt.Sprint("r", a.id)}
}

// act does the next thing.
func (a *actor) act() {
	rng := a.w.rng
	switch {
	case a.waiting():
		if rng.IntN(3) == 0 {
			a.w.tell("client %d hangs up", a.id)
			a.hangUp()
		}
	case a.grant == nil || rng.IntN(4) == 0:
		a.acquire()
	case rng.IntN(3) == 0:
		a.renew()
	case rng.IntN(2) == 0:
		a.release()
	case rng.IntN(3) == 0:
		a.lie()
	}
}

// acquire asks for a lock: a new one, or with the key of the last attempt again.
func (a *actor) acquire() {
	rng := a.w.rng
	repeat := a.key != "" && rng.IntN(2) == 0
	if !repeat {
		a.name, a.key = a.w.name(), ""
		a.ttl = time.Second + time.Duration(rng.Int64N(int64(5*time.Second)))
		if rng.IntN(8) == 0 {
			a.ttl += time.Minute // it outlasts the grace period
		}
		if a.confirm = 0; rng.IntN(3) == 0 {
			a.confirm = min(a.ttl, time.Second+time.Duration(rng.Int64N(int64(3*time.Second))))
		}
		if a.keys++; rng.IntN(2) == 0 {
			a.key = fmt.Sprintf("key-%08d-%08d", a.id, a.keys)
		}
	}
	attempt, err := lock.NewAttempt(a.key, a.ttl, a.confirm, "", nil)
	if err != nil {
		a.w.t.Fatal(err)
	}
	req := lock.Acquisition{Origin: a.origin(), Name: a.name, TTL: a.ttl, ConfirmWithin: a.confirm, Attempt: attempt}
	if rng.IntN(4) > 0 {
		req.Wait = time.Duration(rng.Int64N(int64(8 * time.Second)))
	}
	req.Priority = []lock.Priority{lock.Front, lock.Normal, lock.Normal, lock.Back}[rng.IntN(4)]
	var recheck table.Recheck
	if rng.IntN(3) == 0 {
		recheck = a.policies(time.Duration(rng.Int64N(int64(1500*time.Millisecond))), rng.IntN(4) > 0)
	}
	var lost time.Duration // the answer will not arrive, which is noticed so much later; 0: it will
	if rng.IntN(4) == 0 {
		lost = time.Duration(1 + rng.Int64N(int64(4*time.Second)))
	}
	a.w.tell("client %d asks for %s, ttl %s, confirm %s, wait %s at the %s, key %q", a.id, a.name, a.ttl, a.confirm, req.Wait, req.Priority, a.key)
	ctx, cancel := context.WithCancel(context.Background())
	a.hangUp = cancel
	table := a.w.table
	a.w.call(func(note noting) {
		g, err := table.AcquireWith(ctx, req, recheck)
		cancel()
		at := time.Now()
		note(tokenOf(g), func() { a.answered(table, req, g, err, at, lost) })
	})
}

var errDenied = errors.New("denied at its turn")

func (a *actor) policies(takes time.Duration, yes bool) func(context.Context, lock.Turn) (lock.Opinion, error) {
	return func(context.Context, lock.Turn) (lock.Opinion, error) {
		a.think.Store(true)
		defer a.think.Store(false)
		time.Sleep(takes)
		if !yes {
			return lock.Opinion{}, errDenied
		}
		return lock.Opinion{}, nil
	}
}

// answered checks a grant against everything that is known, and believes it unless
// its answer was lost.
func (a *actor) answered(table *table.Table, req lock.Acquisition, g table.Grant, err error, at time.Time, lost time.Duration) {
	w := a.w
	a.hangUp = nil
	w.tell("client %d: %s: token %d, %v", a.id, req.Name, tokenOf(g), err)
	a.count(err)
	if err != nil {
		return
	}
	w.sums.grants++
	if g.Repeat {
		w.sums.repeats++
	} else if g.Lease.Token <= w.newest[req.Name] {
		w.wrong("invariant 2: token %d of %s after %d", g.Lease.Token, req.Name, w.newest[req.Name])
	}
	w.newest[req.Name] = max(w.newest[req.Name], g.Lease.Token)
	fate := w.fateOf(g.Lease)
	fate.answers++
	if !at.Before(g.Lease.ExpiresAt) {
		w.sums.late++ // the transport would say so, and not hand it over
		return
	}
	if lost > 0 {
		w.sums.undos++
		w.tell("client %d: the answer is lost, which is noticed after %s", a.id, lost)
		if fate.lost++; fate.lost > 1 && fate.lost == fate.answers {
			w.sums.lostAgain++
		}
		fate.noticed = time.Now().Add(lost)
		time.AfterFunc(lost, func() { table.Undo(g) })
		return
	}
	fate.arrived = true
	if b := w.beliefs[req.Name]; b != nil && b.token != g.Lease.Token && at.Before(b.until) && !w.broken[b.token] {
		w.wrong("invariant 1: %s is granted to client %d (token %d) while client %d may hold it (token %d) for another %s",
			req.Name, a.id, g.Lease.Token, b.who.id, b.token, b.until.Sub(at))
	}
	if g.Lease.ConfirmWithin != req.ConfirmWithin && !g.Repeat {
		w.wrong("client %d was to confirm %s within %s, and is told %s", a.id, req.Name, req.ConfirmWithin, g.Lease.ConfirmWithin)
	}
	w.beliefs[req.Name] = &belief{who: a, token: g.Lease.Token, until: g.Lease.ExpiresAt}
	a.grant, a.granted = &g, a.key
}

func tokenOf(g table.Grant) lock.Token {
	if g.Lease == nil {
		return 0
	}
	return g.Lease.Token
}

func (a *actor) count(err error) {
	s := &a.w.sums
	switch {
	case errors.Is(err, lock.ErrGone):
		s.gone++
	case errors.Is(err, lock.ErrOutcomeUnknown):
		s.unknown++
	case errors.Is(err, lock.ErrFull):
		s.full++
	case errors.Is(err, errDenied):
		s.denied++
	}
}

func (a *actor) renew() {
	w, g, table := a.w, a.grant, a.w.table
	var was time.Time
	if b := w.beliefs[g.Lease.Name]; b != nil && b.token == g.Lease.Token {
		was = b.until
	}
	w.call(func(note noting) {
		got, err := table.Renew(context.Background(), lock.RenewRequest{Origin: a.origin(), Name: g.Lease.Name, LeaseID: g.LeaseID})
		note(0, func() {
			w.tell("client %d renews %s: %v", a.id, g.Lease.Name, err)
			b := w.beliefs[g.Lease.Name]
			if err != nil || b == nil || b.token != got.Lease.Token {
				return
			}
			w.sums.renewals++
			if got.Lease.ConfirmWithin > 0 {
				w.wrong("a renewal of %s did not confirm it", g.Lease.Name)
			}
			if got.Lease.ExpiresAt.Before(was) {
				w.wrong("invariant 4: a renewal of %s brought its end nearer", g.Lease.Name)
			}
			if got.Lease.ExpiresAt.After(b.until) {
				b.until = got.Lease.ExpiresAt
			}
		})
	})
}

// release gives something back, whether it is still held or not, half the time by its key
// if it has one. From the moment it asks, the client no longer thinks that it holds it.
func (a *actor) release() {
	w, name, token, table := a.w, a.grant.Lease.Name, a.grant.Lease.Token, a.w.table
	r := lock.ReleaseRequest{Origin: a.origin(), Name: name, LeaseID: a.grant.LeaseID}
	if a.granted != "" && w.rng.IntN(2) == 0 {
		r.LeaseID, r.Key = "", a.granted
	}
	over := !time.Now().Before(a.grant.Lease.ExpiresAt)
	if b := w.beliefs[name]; b != nil && b.token == token {
		over = !time.Now().Before(b.until)
		delete(w.beliefs, name)
	}
	a.grant = nil
	w.call(func(note noting) {
		ended, err := table.Release(context.Background(), r)
		note(0, func() {
			w.tell("client %d releases %s (%d): %v", a.id, name, token, err)
			if r.Key != "" && err == nil {
				a.releasedByKey(token, ended)
			}
			if over && errors.Is(err, lock.ErrNotHeld) {
				w.sums.stale++
			}
		})
	})
}

// releasedByKey checks which lease a key ended: the one of the grant, or a newer one, if the
// key was forgotten in a restart and the answer with its next lease was lost.
func (a *actor) releasedByKey(token lock.Token, ended lock.EndedLease) {
	a.w.sums.byKey++
	if ended.Lease.Token < token || a.w.sums.restarts == 0 && ended.Lease.Token != token {
		a.w.wrong("client %d released the lease %d by the key of %d", a.id, ended.Lease.Token, token)
	}
}

// lie tries to release what is not its own.
func (a *actor) lie() {
	w := a.w
	other := w.clients[w.rng.IntN(len(w.clients))]
	if other.grant == nil || other.account == a.account && other.grant.Lease.Token == a.grant.Lease.Token {
		return
	}
	id, name := other.grant.LeaseID, a.grant.Lease.Name
	if other.account != a.account && other.granted != "" && w.rng.IntN(2) == 0 {
		a.lieWith(other, lock.ReleaseRequest{Origin: a.origin(), Name: other.grant.Lease.Name, Key: other.granted})
		return
	}
	if other.account == a.account && other.grant.Lease.Name == name {
		return // the same account may release with the right id
	}
	a.lieWith(other, lock.ReleaseRequest{Origin: a.origin(), Name: name, LeaseID: id})
}

func (a *actor) lieWith(other *actor, r lock.ReleaseRequest) {
	w, table := a.w, a.w.table
	w.call(func(note noting) {
		_, err := table.Release(context.Background(), r)
		note(0, func() {
			w.tell("client %d lies: %v", a.id, err)
			if err == nil {
				w.wrong("invariant 9: client %d released %s with the lease id or key of client %d", a.id, r.Name, other.id)
			}
		})
	})
}

// takeSomething breaks a lease and takes the lock, for a client that does nothing more
// with it.
func (w *world) takeSomething(b lock.BreakRequest) {
	taker := &actor{w: w, id: -1}
	table, lost := w.table, time.Duration(0)
	if w.rng.IntN(3) == 0 {
		lost = time.Duration(1 + w.rng.Int64N(int64(time.Second)))
	}
	req := lock.Acquisition{Origin: lock.Origin{Actor: lock.Actor{Account: "ops"}}, Name: b.Name, TTL: 2 * time.Second}
	w.call(func(note noting) {
		g, err := table.Take(context.Background(), b, req)
		at := time.Now()
		note(tokenOf(g), func() { taker.answered(table, req, g, err, at, lost) })
	})
}

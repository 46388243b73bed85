// Package core is the way in: every request to a lock, from whatever transport,
// passes a [Service], which asks three questions in this order. May this principal?
// What do the policies say? And then the table: is the lock free?
//
// Nothing here knows HTTP, SQL or WebAssembly. Policies are behind [Guard]; the
// table keeps its promises whatever a guard does.
package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// Config is the part of the configuration the rules of a request depend on. The
// zero value means the defaults.
type Config struct {
	DefaultTTL time.Duration // of a request that names none; default 60 s
	MaxTTL     time.Duration // longest ttl accepted; default 1 h
	MaxWait    time.Duration // longer waits are cut to this; default 10 m
	Guard      Guard         // nil: there are no policies
}

// Service answers requests. Make one with [New]; it is safe for use by many
// goroutines.
type Service struct {
	table  *table.Table
	cfg    Config
	judges bool // there may be policies

	refusals gathering // of waiters at their turn
}

// New returns a service over table. The caller keeps the table and closes it.
func New(table *table.Table, cfg Config) *Service {
	if cfg.DefaultTTL == 0 {
		cfg.DefaultTTL = time.Minute
	}
	if cfg.MaxTTL == 0 {
		cfg.MaxTTL = lock.MaxTTL
	}
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 10 * time.Minute
	}
	judges := cfg.Guard != nil
	if !judges {
		cfg.Guard = allowAll{}
	}
	return &Service{table: table, cfg: cfg, judges: judges}
}

// AcquireRequest asks for a lock. The account in Origin is filled in by the
// service.
type AcquireRequest struct {
	lock.Origin
	Name     lock.Name
	TTL      time.Duration // 0: the default
	Confirm  time.Duration // the lease runs that long until its first renewal; 0: it runs for its ttl at once
	Wait     time.Duration // 0: do not wait; cut to the maximum
	Holder   string
	Reason   string
	Metadata map[string]string // not to be changed after the call
	Key      string            // idempotency key; empty: none
}

// Wait returns how long a request that asks to wait d would wait at most.
func (s *Service) Wait(d time.Duration) time.Duration { return max(0, min(d, s.cfg.MaxWait)) }

// Acquire takes the lock for the principal, waiting in its queue for up to
// r.Wait. A nil error means the lease was granted and its record is on disk.
//
// The caller must look at the clock once more just before it passes the grant on
// ([lock.ErrTooLate]), and must call [Service.Undo] if it could not pass it on.
//
// Errors: [*input.Error], [ErrForbidden], [*DeniedError], [*PolicyError],
// [*lock.HeldError], which names nobody to a principal that may not read the lock, [lock.ErrSuperseded], [lock.ErrAttemptOver],
// [lock.ErrKeyMismatch], [lock.ErrQueueFull], [lock.ErrQuota], [lock.ErrWaitsEnough], [lock.ErrDraining],
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrClosed], and [lock.ErrGone]
// when ctx ended first.
func (s *Service) Acquire(ctx context.Context, p auth.Principal, r AcquireRequest) (table.Grant, error) {
	a, err := s.acquisition(p, r)
	if err != nil {
		return table.Grant{}, err
	}
	if err := may(p, "acquire", auth.Acquire, r.Name); err != nil {
		return table.Grant{}, err
	}
	g, err := s.acquire(ctx, a)
	var held *lock.HeldError
	if errors.As(err, &held) && !p.May(auth.Read, r.Name) {
		return g, &lock.HeldError{Position: held.Position, Waiters: held.Waiters, Waited: held.Waited, Hidden: true}
	}
	return g, err
}

func (s *Service) acquire(ctx context.Context, a lock.Acquisition) (table.Grant, error) {
	if s.cfg.Guard.Covers(HookAcquire, a.Name) {
		return s.acquireJudged(ctx, a)
	}
	if s.judges {
		return s.acquireAtTurn(ctx, a, a)
	}
	return s.table.Acquire(ctx, a)
}

func (s *Service) acquisition(p auth.Principal, r AcquireRequest) (lock.Acquisition, error) {
	if r.TTL == 0 {
		r.TTL = s.cfg.DefaultTTL
	}
	attempt, keyErr := lock.NewAttempt(r.Key, r.TTL, r.Confirm, r.Holder, r.Metadata)
	err := firstError(
		lock.CheckTTL(r.TTL, s.cfg.MaxTTL),
		lock.CheckConfirm(r.Confirm, r.TTL),
		input.CheckText("holder", r.Holder, lock.MaxHolder),
		input.CheckText("reason", r.Reason, lock.MaxReason),
		lock.CheckMetadata(r.Metadata),
		keyErr,
	)
	if err != nil {
		return lock.Acquisition{}, err
	}
	if r.Wait < 0 {
		return lock.Acquisition{}, &input.Error{Field: "wait", Problem: fmt.Sprintf("is %s", r.Wait), Want: "0 or more"}
	}
	return lock.Acquisition{
		Origin:   withPrincipal(p, r.Origin),
		Name:     r.Name,
		Holder:   r.Holder,
		Reason:   r.Reason,
		Metadata: r.Metadata,
		TTL:      r.TTL,
		Attempt:  attempt,
		Wait:     s.Wait(r.Wait),

		ConfirmWithin: r.Confirm,
	}, nil
}

// as puts the principal into the origin of its request.
func withPrincipal(p auth.Principal, o lock.Origin) lock.Origin {
	o.Actor.Account, o.Actor.TokenID, o.Actor.Groups = p.Account, p.TokenID, p.Groups
	return o
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Undo takes back a grant that could not be delivered: the client was gone before
// the answer was written, or writing it failed. A grant with an idempotency key is
// kept for a while in case the client asks again. It does not block. Call it at
// most once per grant, and never after a write that succeeded.
func (s *Service) Undo(g table.Grant) { s.table.Undo(g) }

// Renew gives the lease more time; r.TTL zero means the lease's own ttl. It never
// shortens a lease. The first renewal of an unconfirmed lease gives it at least the ttl
// it was granted with, and policies are asked about it only if it asks for more: they
// have judged that ttl when the lock was acquired. Errors: [*input.Error], [ErrForbidden], [*DeniedError],
// [lock.ErrNotHeld], [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrClosed], and
// [lock.ErrGone] when ctx ended before the policies had answered.
func (s *Service) Renew(ctx context.Context, p auth.Principal, r lock.RenewRequest) (table.Grant, error) {
	if r.TTL != 0 {
		if err := lock.CheckTTL(r.TTL, s.cfg.MaxTTL); err != nil {
			return table.Grant{}, err
		}
	}
	if err := may(p, "renew", auth.Acquire, r.Name); err != nil {
		return table.Grant{}, err
	}
	r.Origin = withPrincipal(p, r.Origin)
	if s.cfg.Guard.Covers(HookRenew, r.Name) {
		if err := s.judgeRenew(ctx, &r); err != nil {
			return table.Grant{}, err
		}
	}
	return s.table.Renew(ctx, r)
}

// Release gives the lock back. A release repeated within ten minutes is answered
// as the first one was. Errors: [ErrForbidden], [lock.ErrNotHeld], [lock.ErrFull],
// [lock.ErrOutcomeUnknown], [lock.ErrClosed].
func (s *Service) Release(ctx context.Context, p auth.Principal, r lock.ReleaseRequest) (lock.EndedLease, error) {
	if err := may(p, "release", auth.Acquire, r.Name); err != nil {
		return lock.EndedLease{}, err
	}
	r.Origin = withPrincipal(p, r.Origin)
	return s.table.Release(ctx, r)
}

// Break ends the lease of somebody else. If policies judge it, the lease they judged is
// the one that ends, or none. Errors: [*input.Error],
// [ErrForbidden], [*DeniedError], [*PolicyError], [lock.ErrFree], [lock.ErrTokenChanged], [ErrChangedHands],
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrClosed], and [lock.ErrGone] when ctx ended
// before the policies had answered.
func (s *Service) Break(ctx context.Context, p auth.Principal, r lock.BreakRequest) (lock.EndedLease, error) {
	if err := input.CheckText("reason", r.Cause, lock.MaxReason); err != nil {
		return lock.EndedLease{}, err
	}
	if err := may(p, "break", auth.Break, r.Name); err != nil {
		return lock.EndedLease{}, err
	}
	r.Origin = withPrincipal(p, r.Origin)
	if !s.cfg.Guard.Covers(HookBreak, r.Name) {
		return s.table.Break(ctx, r)
	}
	var over lock.EndedLease
	err := s.judgedBreak(ctx, r, func(judged lock.BreakRequest) (err error) {
		over, err = s.table.Break(ctx, judged)
		return err
	})
	return over, err
}

// Take ends the lease of somebody else as [Service.Break] does, and in the same commit
// gives the lock to the principal, ahead of all who wait: r says what its lease is to be,
// without Wait and Key, and b.Name is the lock. It takes the right to do both, and both
// hooks are asked. The grant is passed on or undone as that of [Service.Acquire]. Errors:
// those of both, but [*lock.HeldError].
func (s *Service) Take(ctx context.Context, p auth.Principal, b lock.BreakRequest, r AcquireRequest) (table.Grant, error) {
	r.Name, r.Wait, r.Key = b.Name, 0, ""
	a, err := s.acquisition(p, r)
	if err := firstError(input.CheckText("reason", b.Cause, lock.MaxReason), err); err != nil {
		return table.Grant{}, err
	}
	err = firstError(may(p, "break", auth.Break, b.Name), may(p, "take", auth.Acquire, b.Name))
	if err != nil {
		return table.Grant{}, err
	}
	b.Origin = a.Origin
	if !s.cfg.Guard.Covers(HookBreak, b.Name) {
		return s.take(ctx, b, a)
	}
	var g table.Grant
	err = s.judgedBreak(ctx, b, func(judged lock.BreakRequest) (err error) {
		g, err = s.take(ctx, judged, a)
		return err
	})
	return g, err
}

// take has the guard asked about the acquire, and then takes the lock. Where there is no
// lease to take it from, the table says so and the guard is not asked.
func (s *Service) take(ctx context.Context, b lock.BreakRequest, a lock.Acquisition) (table.Grant, error) {
	if b.Token != unjudged && s.cfg.Guard.Covers(HookAcquire, b.Name) {
		if err := s.judgeAcquire(ctx, &a); err != nil {
			return table.Grant{}, err
		}
	}
	return s.table.Take(ctx, b, a)
}

// Get returns the committed state of one name. It never waits for a write.
// Error: [ErrForbidden].
func (s *Service) Get(p auth.Principal, name lock.Name) (lock.View, error) {
	if err := may(p, "read", auth.Read, name); err != nil {
		return lock.View{}, err
	}
	return s.table.Get(name), nil
}

// Queue returns the state of one name with up to limit places of its queue after the
// first skip ones. Unlike [Service.Get] it asks the table's loop for them. Errors:
// [ErrForbidden], [lock.ErrFull] if the commit it came with was refused,
// [lock.ErrOutcomeUnknown] if one hangs, [lock.ErrClosed].
func (s *Service) Queue(ctx context.Context, p auth.Principal, name lock.Name, skip, limit int) (lock.View, error) {
	if err := may(p, "read", auth.Read, name); err != nil {
		return lock.View{}, err
	}
	page, total, err := s.table.Queue(ctx, name, skip, limit)
	if err != nil {
		return lock.View{}, err
	}
	view := s.table.Get(name)
	view.Queue, view.Waiters = page, total
	return view, nil
}

// List returns the locks that are held or waited for, by name, that the principal
// may read, and the name to pass as After for the next page, empty at the end. It
// never waits for a write. It looks only at names that begin as one of the principal's
// patterns does up to its first star; of those it passes over what is not to be seen.
// Errors: [*input.Error], [ErrForbidden] to one who may read nothing.
func (s *Service) List(p auth.Principal, q table.Query) (views []lock.View, next lock.Name, err error) {
	if err := lock.CheckPrefix(q.Prefix); err != nil {
		return nil, "", err
	}
	if err := MaySome(p, "list locks", auth.Read); err != nil {
		return nil, "", err
	}
	if !p.MayAll(auth.Read) {
		q.Visible = func(n lock.Name) bool { return p.May(auth.Read, n) }
	}
	most := q.Limit
	for _, prefix := range p.Prefixes(auth.Read) {
		if prefix, overlap := longer(prefix, q.Prefix); overlap {
			part := q
			part.Prefix, part.Limit = prefix, most+1-len(views) // one more tells whether there is more
			found, _ := s.table.List(part)
			views = append(views, found...)
		}
		if len(views) > most {
			return views[:most], views[most-1].Name, nil
		}
	}
	return views, "", nil
}

// longer returns the one of two prefixes that begins with the other.
func longer(a, b string) (prefix string, overlap bool) {
	switch {
	case strings.HasPrefix(a, b):
		return a, true
	case strings.HasPrefix(b, a):
		return b, true
	}
	return "", false
}

// Stats returns the counts and timings of the table since its start.
func (s *Service) Stats() table.Stats { return s.table.Stats() }

// Full reports whether acquires are refused because there is no space to record
// them.
func (s *Service) Full() bool { return s.table.Full() }

// Draining reports whether acquires are refused because the server is stopping.
func (s *Service) Draining() bool { return s.table.Draining() }

// UntilDrain returns a context that ends when the server begins to stop.
func (s *Service) UntilDrain() context.Context { return s.table.UntilDrain() }

// Serving returns nil while changes can be made, else why they cannot be.
func (s *Service) Serving() error { return s.table.Err() }

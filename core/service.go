// Package core is the entry to the lock table: every request of every transport passes a
// [Service]. It checks the permissions of the principal, then asks the policies, then the
// table.
//
// This package knows nothing of HTTP, SQL or WebAssembly. Policies are behind [Guard]; the
// table keeps its promises whatever a guard answers.
package core

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// Config has the settings of a [Service]. The zero value means the defaults.
type Config struct {
	DefaultTTL time.Duration // of a request without a ttl; default 60 s
	MaxTTL     time.Duration // longest ttl accepted; default 1 h
	MaxWait    time.Duration // longer waits are shortened to this; default 10 m
	Guard      Guard         // nil: no policies
}

// Service handles requests for locks. Make one with [New]; it is safe for use by many
// goroutines.
type Service struct {
	table  *table.Table
	cfg    Config
	judges bool // a guard is configured

	refusals gathering // of waiters at the front of their queue

	draining  sync.Mutex                // one drain at a time
	drainedAt atomic.Pointer[time.Time] // by an administrator; nil: not
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

// AcquireRequest is a request to acquire a lock. The service sets the account in Origin.
type AcquireRequest struct {
	lock.Origin
	Name     lock.Name
	TTL      time.Duration // 0: the default
	Confirm  time.Duration // the lease ends after this unless it is renewed; 0: after its ttl
	Wait     time.Duration // 0: do not wait; shortened to the maximum
	Holder   string
	Reason   string
	Metadata map[string]string // do not change it after the call
	Key      string            // idempotency key; empty: none
}

// Wait returns how long a request with the wait d waits at most.
func (s *Service) Wait(d time.Duration) time.Duration { return max(0, min(d, s.cfg.MaxWait)) }

// MaxTTL returns the longest ttl that the service accepts.
func (s *Service) MaxTTL() time.Duration { return s.cfg.MaxTTL }

// Acquire acquires the lock for the principal, waiting in its queue for up to r.Wait. A nil
// error means that the lease was granted and its record is on disk.
//
// The caller must check the clock again just before it delivers the grant
// ([lock.ErrTooLate]), and must call [Service.Undo] if it could not deliver it.
//
// Errors: [*input.Error], [ErrForbidden], [*DeniedError], [*PolicyError],
// [*lock.HeldError], which names no holder to a principal that may not read the lock,
// [*lock.SupersededError] likewise, [lock.ErrAttemptOver], [lock.ErrKeyMismatch], [lock.ErrQueueFull],
// [lock.ErrQuota], [lock.ErrWaitsEnough], [lock.ErrDraining],
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrClosed], and [lock.ErrGone]
// when ctx ended first.
func (s *Service) Acquire(ctx context.Context, p auth.Principal, r AcquireRequest) (table.Grant, error) {
	asked, err := s.Ask(ctx, p, &r)
	if err != nil {
		return table.Grant{}, err
	}
	return asked.Wait(ctx, &p)
}

func (s *Service) acquisition(p auth.Principal, r *AcquireRequest) (*lock.Acquisition, error) {
	ttl := cmp.Or(r.TTL, s.cfg.DefaultTTL)
	attempt, keyErr := lock.NewAttempt(r.Key, ttl, r.Confirm, r.Holder, r.Metadata)
	err := firstError(
		lock.CheckTTL(ttl, s.cfg.MaxTTL),
		lock.CheckConfirm(r.Confirm, ttl),
		input.CheckText("holder", r.Holder, lock.MaxHolder),
		input.CheckText("reason", r.Reason, lock.MaxReason),
		lock.CheckMetadata(r.Metadata),
		keyErr,
	)
	if err != nil {
		return nil, err
	}
	if r.Wait < 0 {
		return nil, &input.Error{Field: "wait", Problem: fmt.Sprintf("is %s", r.Wait), Want: "0 or more"}
	}
	return &lock.Acquisition{
		Origin:   withPrincipal(p, r.Origin),
		Name:     r.Name,
		Holder:   r.Holder,
		Reason:   r.Reason,
		Metadata: r.Metadata,
		TTL:      ttl,
		Attempt:  attempt,
		Wait:     s.Wait(r.Wait),

		ConfirmWithin: r.Confirm,
	}, nil
}

// withPrincipal sets the principal in the origin of its request.
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

// Undo ends a lease whose grant could not be delivered: the client was gone before the
// answer was written, or writing it failed. A grant with an idempotency key is kept for a
// while in case the client asks again. Undo does not block. Call it at most once per grant,
// and never after a successful write.
func (s *Service) Undo(g table.Grant) { s.table.Undo(g) }

// Renew extends the lease; a zero r.TTL means the ttl of the lease. It never shortens a
// lease. The first renewal of an unconfirmed lease extends it at least to the granted ttl;
// policies judge it only if it asks for more, because they judged that ttl at the acquire.
// Errors: [*input.Error], [ErrForbidden], [*DeniedError], [lock.ErrNotHeld],
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrClosed], and [lock.ErrGone] if ctx
// ended before the policies had answered.
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

// Release releases the lock. A release repeated within ten minutes gets the same answer as
// the first. Errors: [ErrForbidden], [lock.ErrNotHeld], [lock.ErrFull],
// [lock.ErrOutcomeUnknown], [lock.ErrClosed].
func (s *Service) Release(ctx context.Context, p auth.Principal, r lock.ReleaseRequest) (lock.EndedLease, error) {
	if err := may(p, "release", auth.Acquire, r.Name); err != nil {
		return lock.EndedLease{}, err
	}
	r.Origin = withPrincipal(p, r.Origin)
	return s.table.Release(ctx, r)
}

// Break ends the lease of another account. If policies judge it, exactly the lease they
// judged ends, or none. Errors: [*input.Error],
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

// BreakIf is [Service.Break] of the present lease, if check returns nil for it: exactly that
// lease ends, or none. b.Token is ignored. Errors: those of Break and of check.
func (s *Service) BreakIf(
	ctx context.Context, p auth.Principal, b lock.BreakRequest, check func(*lock.Lease) error,
) (lock.EndedLease, error) {
	if err := may(p, "break", auth.Break, b.Name); err != nil {
		return lock.EndedLease{}, err
	}
	held := s.table.Get(b.Name).Lease
	if held == nil {
		return lock.EndedLease{}, lock.ErrFree
	}
	if err := check(held); err != nil {
		return lock.EndedLease{}, err
	}
	b.Token = held.Token
	return s.Break(ctx, p, b)
}

// Take ends the lease of another account as [Service.Break] does, and in the same commit
// grants the lock to the principal, ahead of all waiters. b.Name is the lock; r describes
// the new lease, without Wait and Key. The principal needs the rights of both, and policies
// of both hooks judge it. The grant is delivered or undone as that of [Service.Acquire].
// Errors: those of both, except [*lock.HeldError].
func (s *Service) Take(ctx context.Context, p auth.Principal, b lock.BreakRequest, r AcquireRequest) (table.Grant, error) {
	r.Name, r.Wait, r.Key = b.Name, 0, ""
	a, err := s.acquisition(p, &r)
	if err := firstError(input.CheckText("reason", b.Cause, lock.MaxReason), err); err != nil {
		return table.Grant{}, err
	}
	err = firstError(may(p, "break", auth.Break, b.Name), may(p, "take", auth.Acquire, b.Name))
	if err != nil {
		return table.Grant{}, err
	}
	b.Origin = a.Origin
	if !s.cfg.Guard.Covers(HookBreak, b.Name) {
		return s.take(ctx, b, *a)
	}
	var g table.Grant
	err = s.judgedBreak(ctx, b, func(judged lock.BreakRequest) (err error) {
		g, err = s.take(ctx, judged, *a)
		return err
	})
	return g, err
}

// take has the guard judge the acquire, and then takes the lock. If there is no lease to end,
// the table refuses and the guard is not asked.
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

// Queue returns the state of one name with up to limit waiters of its queue after the first
// skip ones. Unlike [Service.Get] it waits for the loop of the table. Errors:
// [ErrForbidden], [lock.ErrFull] if the commit of the same batch was refused,
// [lock.ErrOutcomeUnknown] if a commit hangs, [lock.ErrClosed].
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

// List returns the locks with a holder or waiters that the principal may read, sorted by
// name, and the name to pass as After for the next page, empty at the end. It never waits
// for a write. It looks only at names under the prefixes of the principal's patterns, and
// skips those that the principal may not read. In another order than [table.ByName] it lists
// only locks with waiters, and there is one page. Errors: [*input.Error], [ErrForbidden] if
// the principal may read no lock.
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
	if q.Order != table.ByName {
		views, _ = s.table.List(q)
		return views, "", nil
	}
	most := q.Limit
	for _, prefix := range p.Prefixes(auth.Read) {
		if prefix, overlap := longer(prefix, q.Prefix); overlap {
			part := q
			part.Prefix, part.Limit = prefix, most+1-len(views) // one more shows whether there is a next page
			found, _ := s.table.List(part)
			views = append(views, found...)
		}
		if len(views) > most {
			return views[:most], views[most-1].Name, nil
		}
	}
	return views, "", nil
}

// longer returns the longer of two prefixes, if it begins with the other.
func longer(a, b string) (prefix string, overlap bool) {
	switch {
	case strings.HasPrefix(a, b):
		return a, true
	case strings.HasPrefix(b, a):
		return b, true
	}
	return "", false
}

// Version returns a number that changes when the state of a lock does, so a reader knows
// whether to read again.
func (s *Service) Version() uint64 { return s.table.Version() }

// Stats returns the counts and timings of the table since its start.
func (s *Service) Stats() table.Stats { return s.table.Stats() }

// Full reports whether acquires are refused because the disk is full.
func (s *Service) Full() bool { return s.table.Full() }

// Draining reports whether acquires are refused because the server is stopping or drained.
func (s *Service) Draining() bool { return s.table.Draining() }

// UntilDrain returns a context that ends when the server begins to stop.
func (s *Service) UntilDrain() context.Context { return s.table.UntilDrain() }

// Owns reports whether this process still owns the table. An answer from memory may leave only
// if it is true after the answer was built; see [table.Table.Owns].
func (s *Service) Owns() bool { return s.table.Owns() }

// Moved reports whether the table moves, or has moved, to another process; see
// [table.Table.Moved].
func (s *Service) Moved() bool { return s.table.Moved() }

// LongestTTL returns the longest ttl of all leases, or 0 without leases; see
// [table.Table.LongestTTL].
func (s *Service) LongestTTL() time.Duration { return s.table.LongestTTL() }

// Serving returns nil while changes are possible, else the reason why not.
func (s *Service) Serving() error { return s.table.Err() }

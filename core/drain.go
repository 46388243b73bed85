package core

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// dismissal bounds how long [Service.Drain] waits for all waiters to be answered.
const dismissal = time.Second

// Drained is the result of a drain.
type Drained struct {
	Since   time.Time // when the server began to refuse acquires
	Waiters int       // how many requests were waiting then; 0 for a repeated drain
	Already bool      // it was draining before
}

// DrainedAt returns since when an administrator has the server drained; zero: none has.
func (s *Service) DrainedAt() time.Time {
	if at := s.drainedAt.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Drain refuses acquires from now on and answers all waiters; renewals and releases go on.
// Only a restart ends it. It is recorded before it is done, and only once: a repeated drain
// changes nothing. Drain returns when the waiters are answered, at most a second later.
// Errors: [*input.Error], [ErrForbidden], [lock.ErrFull], [lock.ErrOutcomeUnknown],
// [lock.ErrClosed]; after one of these the server is not drained. After ErrOutcomeUnknown the
// record of the drain may be there all the same.
func (s *Service) Drain(ctx context.Context, p auth.Principal, o lock.Origin, reason string) (Drained, error) {
	if err := MayAll(p, "drain the server", auth.Admin); err != nil {
		return Drained{}, err
	}
	if err := input.CheckText("reason", reason, lock.MaxReason); err != nil {
		return Drained{}, err
	}
	s.draining.Lock()
	defer s.draining.Unlock()
	if s.table.Draining() {
		return Drained{Since: s.DrainedAt(), Already: true}, nil
	}
	o = withPrincipal(p, o)
	_, err := s.table.Append(ctx, lock.Event{
		Kind: lock.Drained, Actor: o.Actor, RequestID: o.RequestID, TraceID: o.TraceID, Reason: reason,
	})
	if err != nil {
		return Drained{}, fmt.Errorf("record the drain: %w", err)
	}
	now := time.Now()
	s.drainedAt.Store(&now)
	drained := Drained{Since: now, Waiters: s.table.Stats().Waiters}
	s.table.RefuseAcquires()
	for giveUp := time.Now().Add(dismissal); s.table.Stats().Waiters > 0 && time.Now().Before(giveUp); {
		if sleep.For(ctx, 5*time.Millisecond) != nil {
			break // the client left; the drain goes on
		}
	}
	return drained, nil
}

// RecordHandOver records that an administrator has the lock table handed over to another server,
// which is to begin afterwards. Errors: [*input.Error], [ErrForbidden], [lock.ErrFull],
// [lock.ErrOutcomeUnknown], [lock.ErrClosed], [lock.ErrDeposed].
func (s *Service) RecordHandOver(ctx context.Context, p auth.Principal, o lock.Origin, reason string) error {
	if err := MayAll(p, "hand the lock table over", auth.Admin); err != nil {
		return err
	}
	if err := input.CheckText("reason", reason, lock.MaxReason); err != nil {
		return err
	}
	o = withPrincipal(p, o)
	_, err := s.table.Append(ctx, lock.Event{
		Kind: lock.Drained, Actor: o.Actor, RequestID: o.RequestID, TraceID: o.TraceID, Reason: reason, Cause: HandOverCause,
	})
	return err
}

// HandOverCause is the cause of a drain that hands the lock table over to another server.
const HandOverCause = "the lock table is handed over to another node"

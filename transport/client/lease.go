package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Lease is a lock that is held. It is renewed at a third of its ttl by a goroutine of its own,
// until Release, or until it is over. Make one with [Client.Acquire]; its methods may be called by
// any goroutine.
type Lease struct {
	c      *Client
	name   string
	o      AcquireOptions
	margin time.Duration
	waited time.Duration

	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when nothing is renewed any more

	mu    sync.Mutex
	grant api.Grant
	sent  time.Duration // when the last successful request was sent
	end   time.Duration // safe end
}

// newLease returns the lease of a grant, which is not renewed yet.
func (q *queueing) newLease(ctx context.Context, a answer) *Lease {
	l := &Lease{c: q.c, name: q.name, o: q.o, waited: q.waited(), ended: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	l.take(a.sent, a.took, a.grant)
	return l
}

// take takes note of a grant that was asked for at an instant, and the answer to which took so
// long. The time that the server says it took counts up to that only: this machine's clock may have
// stood still meanwhile, as that of a virtual machine that is paused.
func (l *Lease) take(sent, took time.Duration, g api.Grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ttl := time.Duration(g.TTLMS) * time.Millisecond
	l.margin = l.o.Margin
	if l.margin == 0 {
		l.margin = min(ttl/6, longestMargin)
	}
	l.grant, l.sent = g, sent
	inServer := min(took, time.Duration(g.ServerMS)*time.Millisecond)
	l.end = max(l.end, sent+inServer+time.Duration(g.ExpiresInMS)*time.Millisecond)
}

// Context returns a context with the values of the one that Acquire had, which ends before the
// lease can be lost: the margin before its safe end, or as soon as it is known that it is over.
// Its cause is then a [*LostError]; after Release it is [ErrReleased]. It does not end with
// Acquire's. What is done under the lock should stop when it ends.
func (l *Lease) Context() context.Context { return l.ctx }

// Name returns the name of the lock.
func (l *Lease) Name() string { return l.name }

// Token returns the fencing token: greater than those of all earlier leases of the lock. The
// resource that the lock protects should refuse tokens lower than the highest it has seen.
func (l *Lease) Token() uint64 { return l.Grant().FencingToken }

// ID returns the lease id, which renews and releases the lease. Keep it secret.
func (l *Lease) ID() string { return l.Grant().LeaseID }

// Grant returns the newest answer of the server about the lease.
func (l *Lease) Grant() api.Grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grant
}

// Waited returns how long Acquire waited for the lock.
func (l *Lease) Waited() time.Duration { return l.waited }

// Left returns the time to the safe end of the lease: to then nobody else has the lock, unless an
// operator breaks the lease. It counts from before the last successful request was sent, on a
// clock that counts suspends. It is never negative.
func (l *Lease) Left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.end-l.c.now())
}

// span is how long the lease runs after a renewal.
func (l *Lease) span() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.grant.TTLMS) * time.Millisecond
}

// due is when to renew: a third of the time after the last success.
func (l *Lease) due() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent + min(time.Duration(l.grant.TTLMS)*time.Millisecond, l.end-l.sent)/3
}

// spare is the time until the margin begins.
func (l *Lease) spare() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end - l.margin - l.c.now()
}

// Release stops the renewals, ends Context, and gives the lock back. It asks again for up to ten
// seconds, or until ctx ends, if the answer does not come, and for up to twenty if the lock table
// moves to another server meanwhile. errors.Is(err, [ErrNotHeld]) says that
// the lease was over before; after any other error it ends by itself after its ttl. Release may
// be called again, also after an error. It waits for a callback that is under way, but for no
// longer than it would ask.
func (l *Lease) Release(ctx context.Context) error {
	l.cancel(ErrReleased)
	usual, cancelUsual := context.WithTimeout(ctx, usualRelease)
	defer cancelUsual()
	ctx, cancel := context.WithTimeoutCause(ctx, longestRelease, errNoAnswer)
	defer cancel()
	err := l.c.releaseSurely(ctx, l.name, l.ID())
	select {
	case <-l.ended:
	case <-usual.Done(): // a callback hangs, or is the caller
	}
	return err
}

const (
	// usualRelease is how long a release asks again.
	usualRelease = 10 * time.Second
	// longestRelease is how long it does so while no server has the lock table. A server that
	// died is replaced within 15 s.
	longestRelease = 20 * time.Second
)

// releaseSurely releases a lease, and asks again until ctx ends if an answer does not come, but not
// for longer than usualRelease unless the lock table moves.
func (c *Client) releaseSurely(longest context.Context, name, leaseID string) error {
	ctx, cancel := context.WithTimeoutCause(longest, usualRelease, errNoAnswer)
	defer cancel()
	lost := false // an answer, which may have been a success
	for failures := 0; ; failures++ {
		s := &sending{most: 3 * time.Second}
		_, err := c.release(ctx, name, leaseID, s)
		if err == nil || lost && errors.Is(err, ErrNotHeld) {
			return nil
		}
		if errors.Is(err, ErrNotHeld) || !waitedOut(err) && ctx.Err() == nil {
			return err
		}
		lost = lost || s.gone.Load() && mayBeDone(err)
		if errors.Is(err, ErrMoved) {
			ctx = longest
		}
		if !pause(ctx, backoff(failures)) {
			return err
		}
	}
}

// mayBeDone reports whether a request that ended with an error may have been carried out.
func mayBeDone(err error) bool {
	e, refused := errors.AsType[*Error](err)
	return !refused || e.Code == "" || e.Code == api.CodeOutcomeUnknown || e.Code == api.CodeInternal
}

// backoff is the pause after so many failures before.
func backoff(failures int) time.Duration {
	const first, most = 50 * time.Millisecond, time.Second
	d := min(first<<min(failures, 10), most)
	return d/2 + rand.N(d)
}

package mcpserver

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/octostore/octostore/transport/client"
)

const (
	// most is how many locks a session holds and waits for at most.
	most = 128
	// kept is how long a place in a queue is kept after the last call.
	kept = 5 * time.Minute
	// silence is after how long an acquire fails that has had no answer of a server.
	silence = 5 * time.Second
	// parting is how long a release may take.
	parting = 8 * time.Second
)

// locks are those that a session holds and waits for. Its methods may be called by many
// goroutines.
type locks struct {
	cfg    Config
	ending context.Context // ends with the session
	cancel context.CancelFunc

	mu      sync.Mutex
	byName  map[string]*entry
	notices []string // that no answer has told yet
	ended   bool
	work    sync.WaitGroup
}

// entry is one lock: waited for, granted while no call waited, or held.
type entry struct {
	name    string
	hold    time.Duration      // how long the agent wants it
	cancel  context.CancelFunc // leaves the queue
	granted chan struct{}      // closed when acquiring has ended
	timer   *time.Timer        // leaves the queue, or releases the lock; nil while a call waits

	// The lock of locks guards the rest.
	busy     bool // a call waits for it
	gone     bool // nobody wants it any more
	held     bool // the agent knows that it is granted
	lease    *client.Lease
	answered bool      // a server has answered
	err      error     // why it was not granted
	until    time.Time // when timer ends
}

func newLocks(cfg Config) *locks {
	if cfg.Kept == 0 {
		cfg.Kept = kept
	}
	l := &locks{cfg: cfg, byName: map[string]*entry{}}
	l.ending, l.cancel = context.WithCancel(context.Background())
	return l
}

// wish is what an agent wants of a lock.
type wish struct {
	name, reason, agent string
	wait, hold          time.Duration
}

// acquire acquires a lock, or goes on waiting for it.
func (l *locks) acquire(ctx context.Context, w wish) outcome {
	l.mu.Lock()
	e := l.byName[w.name]
	switch {
	case l.ended:
		l.mu.Unlock()
		return refusal(w.name, statusError, "The session has ended.")
	case e == nil && len(l.byName) >= most:
		l.mu.Unlock()
		return refusal(w.name, statusError, "This session holds and waits for %d locks, the most it may. Release some.", most)
	case e != nil && e.held:
		defer l.mu.Unlock()
		return alreadyHeld(e)
	case e != nil && e.busy:
		l.mu.Unlock()
		return waitedElsewhere(w.name)
	case e == nil:
		e = l.begin(ctx, w)
		w.wait = cmp.Or(w.wait, patience) // without a wait it ends by itself
	}
	e.hold = w.hold
	l.attend(e)
	l.mu.Unlock()
	return l.await(ctx, e, w.wait)
}

// wait goes on waiting for a lock. If the answer that granted it was lost, it is given again.
func (l *locks) wait(ctx context.Context, name string, d time.Duration) outcome {
	l.mu.Lock()
	e := l.byName[name]
	switch {
	case e == nil:
		l.mu.Unlock()
		return refusal(name, statusNotHeld, "This session is not in the queue of %s; call acquire.", name)
	case e.held:
		defer l.mu.Unlock()
		return granted(e)
	case e.busy:
		l.mu.Unlock()
		return waitedElsewhere(name)
	}
	l.attend(e)
	l.mu.Unlock()
	return l.await(ctx, e, d)
}

// begin starts to acquire a lock. The caller has the lock of locks.
func (l *locks) begin(ctx context.Context, w wish) *entry {
	e := &entry{name: w.name, granted: make(chan struct{})}
	ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx)) // it outlives the call
	l.byName[w.name] = e
	o := client.AcquireOptions{
		TTL: l.cfg.TTL, Holder: l.cfg.Holder, Reason: w.reason,
		Waiting: func(now client.Waiting) { l.waiting(e, now) },
	}
	if w.wait > 0 {
		o.Wait = -1
	}
	if w.agent != "" {
		o.Metadata = map[string]string{"agent": w.agent}
	}
	l.work.Go(func() {
		lease, err := l.cfg.Client.Acquire(ctx, w.name, o)
		l.acquired(e, lease, err)
	})
	return e
}

// waiting takes note of an answer that is waited out. An attempt that never had an answer of a
// server fails soon: the address is wrong more likely than that the server comes back.
func (l *locks) waiting(e *entry, now client.Waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, unreachable := errors.AsType[*client.UnreachableError](now.Err)
	e.answered = e.answered || !unreachable
	if !e.answered && now.Waited > silence {
		e.err = now.Err
		e.cancel()
	}
}

// acquired takes note of the end of an attempt.
func (l *locks) acquired(e *entry, lease *client.Lease, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.cancel()
	if e.gone {
		if lease != nil {
			l.work.Go(func() { l.giveUp(lease) })
		}
		close(e.granted)
		return
	}
	e.lease, e.err = lease, cmp.Or(e.err, err)
	close(e.granted)
	if lease == nil {
		if !e.busy {
			l.drop(e)
			l.notice("NOT GRANTED: %s: %s", e.name, problemOf(e.name, e.err).Message)
		}
		return
	}
	l.work.Go(func() { l.watch(e) })
}

// watch waits for the end of a lease, which is a loss unless the entry has gone before.
func (l *locks) watch(e *entry) {
	<-e.lease.Context().Done()
	why := context.Cause(e.lease.Context())
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.gone {
		return
	}
	l.drop(e)
	l.cfg.Log.Warn("lost a lock", "lock", e.name, "err", why)
	l.notice("LOST: the lock %s is no longer yours (%v). Stop what needs it: another client may have it. "+
		"Acquire it again, and look at what has changed, before you go on.", e.name, why)
}

// attend marks an entry as waited for by a call. The caller has the lock of locks.
func (l *locks) attend(e *entry) {
	e.busy = true
	if e.timer != nil {
		e.timer.Stop()
	}
}

// await waits for a lock until it is granted, the time is over, or the call is cancelled, which
// leaves the queue.
func (l *locks) await(ctx context.Context, e *entry, d time.Duration) outcome {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-e.granted:
	case <-timer.C:
	case <-ctx.Done():
	}
	if out, over := l.settle(ctx, e); over {
		return out
	}
	return l.describeWait(ctx, e)
}

// settle ends the wait of a call. It returns false if the wait for the lock goes on without it.
func (l *locks) settle(ctx context.Context, e *entry) (out outcome, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.busy = false
	if ctx.Err() != nil {
		l.abandon(e)
		return refusal(e.name, statusError, "The call was cancelled."), true
	}
	select {
	case <-e.granted:
		return l.claim(e), true
	default:
	}
	if e.gone {
		return refusal(e.name, statusNotHeld, "This session has left the queue of %s.", e.name), true
	}
	l.arm(e, l.cfg.Kept, l.forget)
	return outcome{}, false
}

// claim gives an acquired lock to the agent, or says why it was not granted. The caller has the
// lock of locks.
func (l *locks) claim(e *entry) outcome {
	switch {
	case e.gone && e.lease == nil:
		return refusal(e.name, statusNotHeld, "This session has left the queue of %s.", e.name)
	case e.gone, e.lease != nil && e.lease.Context().Err() != nil:
		return refusal(e.name, statusLost, "%s was granted, and lost or released before this answer.", e.name)
	case e.lease == nil:
		l.drop(e)
		return problemOf(e.name, e.err)
	}
	e.held = true
	l.arm(e, e.hold, l.timeUp)
	l.cfg.Log.Info("acquired a lock", "lock", e.name, "fencing_token", e.lease.Token())
	return granted(e)
}

// arm has something done to an entry after a while, instead of what was to be done before. The
// caller has the lock of locks.
func (l *locks) arm(e *entry, after time.Duration, do func(*entry)) {
	if e.timer != nil {
		e.timer.Stop()
	}
	e.until = time.Now().Add(after)
	e.timer = time.AfterFunc(after, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !e.gone && !e.busy && !time.Now().Before(e.until) {
			do(e)
		}
	})
}

// timeUp releases a lock whose hold time is over. The caller has the lock of locks.
func (l *locks) timeUp(e *entry) {
	l.drop(e)
	l.notice("RELEASED: the lock %s is no longer yours: you held it for the %s that you asked for, and did not call renew. "+
		"Another client may have it.", e.name, e.hold)
	l.work.Go(func() { l.giveUp(e.lease) })
}

// forget leaves a queue, or gives a lock back, that no call has asked for in a long time. The
// caller has the lock of locks.
func (l *locks) forget(e *entry) {
	l.abandon(e)
	l.notice("LEFT THE QUEUE: no call asked for %s for %s, so its place, or the lock itself, was given up.", e.name, l.cfg.Kept)
}

// abandon leaves a queue, or gives the lock back that was acquired. The caller has the lock of
// locks.
func (l *locks) abandon(e *entry) {
	if e.gone {
		return
	}
	l.drop(e)
	e.cancel()
	if e.lease != nil {
		l.work.Go(func() { l.giveUp(e.lease) })
	}
}

// drop forgets an entry. The caller has the lock of locks.
func (l *locks) drop(e *entry) {
	e.gone = true
	if e.timer != nil {
		e.timer.Stop()
	}
	if l.byName[e.name] == e {
		delete(l.byName, e.name)
	}
}

// giveUp releases a lease. If that fails it ends by itself after its ttl.
func (l *locks) giveUp(lease *client.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), parting)
	defer cancel()
	if err := lease.Release(ctx); err != nil && !errors.Is(err, client.ErrNotHeld) {
		l.cfg.Log.Warn("could not release a lock; it ends by itself", "lock", lease.Name(), "err", err)
		return
	}
	l.cfg.Log.Info("released a lock", "lock", lease.Name())
}

// end leaves all queues, releases all locks, and waits until that is done. Calls after the first
// wait, too.
func (l *locks) end() {
	l.cancel()
	l.mu.Lock()
	l.ended = true
	for _, e := range l.byName {
		l.abandon(e)
	}
	l.mu.Unlock()
	l.work.Wait()
}

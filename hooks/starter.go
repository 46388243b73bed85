package hooks

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// The start budget of a policy is a token bucket of time: it fills with a quarter of the time that
// goes by, up to a second, and each start takes from it what the start took. So a guest that fails
// on every other request does not keep the processors busy with starts. The first instances, one
// for each guest slot, are free.
const (
	startShare = 4
	startBurst = time.Second
)

// startBudget bounds the time that a policy spends on starts. A nil budget, that of a trial,
// bounds nothing.
type startBudget struct {
	mu      sync.Mutex // held for moments only
	free    int        // starts that are not counted, still
	balance time.Duration
	at      time.Time // of the balance
}

func newStartBudget(free int) *startBudget {
	return &startBudget{free: free, balance: startBurst, at: time.Now()}
}

// wait returns the time until the next start may happen; 0: it may happen now.
func (b *startBudget) wait(now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free > 0 {
		return 0
	}
	b.earn(now)
	if b.balance > 0 {
		return 0
	}
	return startShare * (1 - b.balance)
}

// earn is called under mu.
func (b *startBudget) earn(now time.Time) {
	b.balance = min(startBurst, b.balance+max(0, now.Sub(b.at))/startShare)
	b.at = now
}

// spend takes the duration of a start from the budget.
func (b *startBudget) spend(now time.Time, took time.Duration) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free > 0 {
		b.free--
		return
	}
	b.earn(now)
	b.balance -= took
}

// starter makes instances in the background: for policies in shadow mode, because no request waits
// for them, and in place of instances that failed, so that the next request need not wait. It is one
// goroutine, and takes a guest slot only when no check waits for one.
type starter struct {
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{}
	wake chan struct{} // has room for one

	mu    sync.Mutex // held for moments only
	queue []*policy  // each once
}

func openStarter() *starter {
	s := &starter{done: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	go s.run()
	return s
}

// close ends the goroutine and waits for it. After that, wants does nothing.
func (s *starter) close() {
	s.stop()
	<-s.done
}

// wants queues a policy that needs an instance, once. A nil starter, that of a trial, makes none.
func (s *starter) wants(p *policy) {
	if s == nil {
		return
	}
	s.mu.Lock()
	if !slices.Contains(s.queue, p) {
		s.queue = append(s.queue, p)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

// next takes the first policy out of the queue whose budget allows a start, or returns the time until
// one does; negative: the queue is empty.
func (s *starter) next(now time.Time) (*policy, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := time.Duration(-1)
	for n, p := range s.queue {
		wait := p.startBudget.wait(now)
		if wait == 0 {
			s.queue = slices.Delete(s.queue, n, n+1)
			return p, 0
		}
		if least < 0 || wait < least {
			least = wait
		}
	}
	return nil, least
}

func (s *starter) run() {
	defer close(s.done)
	for s.ctx.Err() == nil {
		p, wait := s.next(time.Now())
		if p != nil {
			p.startInBackground(s.ctx)
			continue
		}
		var later <-chan time.Time // nil: never
		if wait >= 0 {
			later = time.After(wait)
		}
		select {
		case <-s.wake:
		case <-later:
		case <-s.ctx.Done():
		}
	}
}

// startInBackground makes an instance if the policy needs one.
func (p *policy) startInBackground(ctx context.Context) {
	if !p.beginStart() {
		return
	}
	defer p.endStart()
	if p.engine.slots.take(ctx, true) != nil {
		return
	}
	defer p.engine.slots.done(true)
	i, f := p.instantiate()
	if f != nil {
		p.failing(f)
		if slices.ContainsFunc(p.Hooks, func(h core.Hook) bool { return h != manifest.HookObserve }) { // events wait by themselves
			p.opened(p.breaker.failedInBackground(f), f)
		}
		return
	}
	p.put(i)
}

// backgroundStarts counts the background starts of a policy that are under way. They keep its module
// open when its set is closed.
type backgroundStarts struct {
	mu      sync.Mutex // held for moments only
	running int
	ended   bool
}

// beginStart reports whether the policy needs an instance. If so, its module stays open until
// endStart.
func (p *policy) beginStart() bool {
	if p.idle() {
		return false
	}
	p.backgroundStarts.mu.Lock()
	defer p.backgroundStarts.mu.Unlock()
	if p.backgroundStarts.ended {
		return false
	}
	p.backgroundStarts.running++
	return true
}

func (p *policy) endStart() {
	p.backgroundStarts.mu.Lock()
	p.backgroundStarts.running--
	last := p.backgroundStarts.ended && p.backgroundStarts.running == 0
	p.backgroundStarts.mu.Unlock()
	if last {
		p.release()
	}
}

// endStarts forbids further background starts, and closes the module after the last one.
func (p *policy) endStarts() {
	p.backgroundStarts.mu.Lock()
	p.backgroundStarts.ended = true
	last := p.backgroundStarts.running == 0
	p.backgroundStarts.mu.Unlock()
	if last {
		p.release()
	}
}

// idle reports whether an instance is free.
func (p *policy) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free) > 0
}

package hooks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Making instances anew is bounded in time, so that requests on which a guest fails, one
// in two for instance, do not keep the processors busy with starts: a policy earns a
// quarter of the time that goes by, and has saved a second of it at most. The instances
// it needs to begin with, one for each guest that may run at a time, are not counted.
const (
	startShare = 4
	startBurst = time.Second
)

// errPaced is what comes of a request that would have to wait for a start.
var errPaced = errors.New("its instances fail so often that the next one is not made yet")

// errNoInstance is what comes of a request of a shadow policy, which waits for no start.
var errNoInstance = errors.New("its next instance is being made; a policy in shadow mode does not keep a request waiting for that")

// pace bounds the time that goes into the instances a policy has beyond those it needs
// to begin with. A nil pace, that of a trial, bounds nothing.
type pace struct {
	mu      sync.Mutex // held for moments only
	free    int        // instances that are not counted, still
	balance time.Duration
	at      time.Time // of the balance
}

func newPace(free int) *pace { return &pace{free: free, balance: startBurst, at: time.Now()} }

// wait returns how long it is until an instance may be made; 0: now.
func (p *pace) wait(now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		return 0
	}
	p.earn(now)
	if p.balance > 0 {
		return 0
	}
	return startShare * (1 - p.balance)
}

// earn is called under mu.
func (p *pace) earn(now time.Time) {
	p.balance = min(startBurst, p.balance+max(0, now.Sub(p.at))/startShare)
	p.at = now
}

// spend counts an instance, and how long it took to make.
func (p *pace) spend(now time.Time, took time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		return
	}
	p.earn(now)
	p.balance -= took
}

// starter makes instances aside: those of policies in shadow mode, for which no request
// waits, and those in place of instances that were thrown away, for which the next
// request need not. It is one goroutine, and takes its turn behind every check.
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

// close ends the goroutine and waits for it. Requests for instances do nothing then.
func (s *starter) close() {
	s.stop()
	<-s.done
}

// wants asks for an instance of a policy, unless that was done before. A nil starter,
// that of a trial, makes none.
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

// next takes the first policy out of the queue that may have an instance made, or returns
// how long it is until one may; negative: there is none.
func (s *starter) next(now time.Time) (*policy, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := time.Duration(-1)
	for n, p := range s.queue {
		wait := p.pace.wait(now)
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
			p.makeAside(s.ctx)
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

// makeAside makes an instance of a policy that needs one.
func (p *policy) makeAside(ctx context.Context) {
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
			p.opened(p.breaker.failedAside(f), f)
		}
		return
	}
	p.put(i)
}

// asides counts the instances of a policy that are being made aside, for which its module
// stays open when its set is closed.
type asides struct {
	mu      sync.Mutex // held for moments only
	running int
	ended   bool
}

// beginStart reports whether the policy needs an instance, and keeps its module open
// until endStart.
func (p *policy) beginStart() bool {
	if p.idle() {
		return false
	}
	p.asides.mu.Lock()
	defer p.asides.mu.Unlock()
	if p.asides.ended {
		return false
	}
	p.asides.running++
	return true
}

func (p *policy) endStart() {
	p.asides.mu.Lock()
	p.asides.running--
	last := p.asides.ended && p.asides.running == 0
	p.asides.mu.Unlock()
	if last {
		p.release()
	}
}

// endStarts lets no more instances be made aside, and closes the module with the last.
func (p *policy) endStarts() {
	p.asides.mu.Lock()
	p.asides.ended = true
	last := p.asides.running == 0
	p.asides.mu.Unlock()
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

// strict reports whether a request must not pay for more than the fuel of a call: the
// policy is in shadow mode, and the request is one that somebody waits for.
func (p *policy) strict(j *judgement) bool { return p.Mode == manifest.Shadow && !j.patient }

// budget is what a call of an instance may use: the first one more, unless the policy is
// in shadow mode and a request pays for it.
func (p *policy) budget(i *guest.Instance, j *judgement) int64 {
	if i.Used() || p.Mode == manifest.Shadow && !j.Observes() {
		return p.Fuel
	}
	return p.Fuel + manifest.FirstCallFuel
}

// anew makes an instance for a request that found none, in the request's own turn.
func (p *policy) anew(j *judgement) (*guest.Instance, *guest.Fault) {
	switch {
	case p.strict(j):
		p.engine.starter.wants(p)
		return nil, &guest.Fault{Kind: starting, Err: errNoInstance}
	case p.pace.wait(time.Now()) > 0:
		p.engine.starter.wants(p)
		return nil, &guest.Fault{Kind: starting, Err: errPaced}
	}
	return p.instantiate()
}

// awaitPace waits, without a turn, until an instance may be made, if there is none. An
// observer has time, and its events are not to be parked for want of an instance.
func (p *policy) awaitPace(ctx context.Context) error {
	if p.idle() {
		return nil
	}
	if wait := p.pace.wait(time.Now()); wait > 0 {
		return sleep.For(ctx, wait)
	}
	return nil
}

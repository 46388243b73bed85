package hooks

import (
	"context"
	"errors"
	"time"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// take returns a free instance, or makes one.
func (p *policy) take(j *judgement) (*guest.Instance, *guest.Fault) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return i, nil
	}
	p.mu.Unlock()
	return p.anew(j)
}

// put returns an instance to the free ones.
func (p *policy) put(i *guest.Instance) {
	p.mu.Lock()
	keep := !p.closed && len(p.free) < p.engine.slots.most
	if keep {
		p.free = append(p.free, i)
	}
	p.mu.Unlock()
	if !keep {
		p.discard(i)
	}
}

func (p *policy) discard(i *guest.Instance) {
	p.measures.live.Add(-1)
	i.Close()
}

func (p *policy) close() {
	p.faults.Close()
	p.Lines.Close()
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	p.mu.Unlock()
	for _, i := range free {
		p.discard(i)
	}
	p.endStarts()
}

// instantiate makes an instance, and takes the time from the start budget.
func (p *policy) instantiate() (*guest.Instance, *guest.Fault) {
	begun := time.Now()
	i, f := p.Start()
	if f == nil {
		p.measures.live.Add(1)
	}
	p.measures.starts.Add(1)
	now := time.Now()
	p.startBudget.spend(now, now.Sub(begun))
	return i, f
}

// errNoBudget is the fault of a request that would have to wait for a start.
var errNoBudget = errors.New("its instances fail so often that the next one is not made yet")

// errNoInstance is the fault of a request to a shadow policy without an instance: requests do not
// wait for its starts.
var errNoInstance = errors.New("its next instance is being made; a policy in shadow mode does not keep a request waiting for that")

// strict reports whether a request may cost no more than the fuel of a call: the policy is in shadow
// mode, and a client waits.
func (p *policy) strict(j *judgement) bool { return p.Mode == manifest.Shadow && !j.patient }

// callFuel is the fuel of the next call of an instance. The first call has more, unless the policy is
// in shadow mode and a client waits.
func (p *policy) callFuel(i *guest.Instance, j *judgement) int64 {
	if i.Used() || p.Mode == manifest.Shadow && !j.Observes() {
		return p.Fuel
	}
	return p.Fuel + manifest.FirstCallFuel
}

// anew makes an instance for a request that found none, in the guest slot of the request.
func (p *policy) anew(j *judgement) (*guest.Instance, *guest.Fault) {
	switch {
	case p.strict(j):
		p.engine.starter.wants(p)
		return nil, &guest.Fault{Kind: starting, Err: errNoInstance}
	case p.startBudget.wait(time.Now()) > 0:
		p.engine.starter.wants(p)
		return nil, &guest.Fault{Kind: starting, Err: errNoBudget}
	}
	return p.instantiate()
}

// awaitBudget waits until the start budget allows an instance, if there is none. It needs no guest
// slot. An observer can wait, and a missing instance is no reason to park its events.
func (p *policy) awaitBudget(ctx context.Context) error {
	if p.idle() {
		return nil
	}
	if wait := p.startBudget.wait(time.Now()); wait > 0 {
		return sleep.For(ctx, wait)
	}
	return nil
}

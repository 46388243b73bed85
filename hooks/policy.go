package hooks

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/hooks/internal/guest"
)

// policy is a loaded module with its instances.
type policy struct {
	guest.Program
	engine  *engine
	release func() // gives the compiled module back, after the last start
	digest  string // in hex
	log     *slog.Logger
	faults  *sparselog.Log // a sample of its faults; the audit log has all of them

	mu     sync.Mutex // held for moments only
	free   []*guest.Instance
	closed bool

	breaker          breaker
	backgroundStarts backgroundStarts
	startBudget      *startBudget
	measures         measures

	calls, denials, errors, fuelUsed atomic.Uint64
	spent                            fuelCounts
}

// Kinds of faults without a call; package guest has those of calls. No breaker counts them.
const (
	busy        = "busy"     // the request ended before a guest slot was free
	breakerOpen = "breaker"  // the policy keeps failing
	starting    = "starting" // there is no instance, and the request does not wait for one
)

// ask puts one request to the policy. The request keeps its guest slot for the next policy; the caller
// frees it after the last one.
func (p *policy) ask(ctx context.Context, j *judgement) guest.Answer {
	probe, f := p.breaker.enter()
	if f != nil {
		p.errors.Add(1)
		return guest.Answer{Fault: f}
	}
	if probe {
		defer p.breaker.leave()
	}
	waited, err := p.slotFor(ctx, j)
	if err != nil {
		return guest.Answer{Fault: &guest.Fault{Kind: busy, Err: err}}
	}
	if waited && !probe {
		if f := p.breaker.opensMeanwhile(); f != nil {
			p.errors.Add(1)
			return guest.Answer{Fault: f}
		}
	}
	begun := p.timing()
	o := p.run(j)
	j.spent += o.Fuel + o.Wasted
	p.count(o, begun)
	p.settle(probe, o.Fault)
	switch {
	case o.Fault != nil:
		p.failing(o.Fault, slog.String("lock", string(j.Question.Asked.Name)))
	case o.Denies:
		p.denials.Add(1)
	}
	return o
}

// slotFor gives a judgement a guest slot if it has none, or has used its slot for long. waited tells
// that other requests may have run meanwhile.
func (p *policy) slotFor(ctx context.Context, j *judgement) (waited bool, err error) {
	switch {
	case j.slots == nil:
		if waited, err = p.takeSlot(ctx, false); err == nil {
			j.slots, j.spent = p.engine.slots, 0
		}
	case j.spent >= slotFuel:
		waited, err = p.measures.waiting(func() (bool, error) { return j.keepSlot(ctx) })
	}
	return waited, err
}

// failing logs that the policy could not answer or start, at a bounded rate.
func (p *policy) failing(f *guest.Fault, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("kind", f.Kind), slog.Any("err", f.Err)}, attrs...)
	p.faults.Log(slog.LevelWarn, f.Kind, "the policy could not answer", append(attrs, slog.String("mode", string(p.Mode)))...)
}

// count adds a call to the statistics. A request without an instance counts as an error and not as a
// call. begun comes from timing.
func (p *policy) count(o guest.Answer, begun time.Time) {
	if o.Fault != nil && o.Fault.Kind == starting {
		p.errors.Add(1)
		return
	}
	p.timed(begun)
	p.calls.Add(1)
	p.spent.add(o.Fuel)
	p.fuelUsed.Add(uint64(max(o.Fuel, 0) + max(o.Wasted, 0)))
	if o.Fault != nil {
		p.errors.Add(1)
	}
}

// run has an instance answer, and a fresh one if the first runs out of fuel.
func (p *policy) run(j *judgement) guest.Answer {
	i, f := p.take(j)
	if f != nil {
		return guest.Answer{Fault: f}
	}
	used := i.Used()
	o := p.runOn(i, j)
	if o.Fault != nil && o.Fault.Kind == guest.OutOfFuel && used {
		// A garbage collector may have run in this call, which can cost more than all the rest.
		// A fresh instance has nothing to collect, so it shows what the request itself costs.
		if i, f = p.anew(j); f != nil { // as in shadow mode
			return o
		}
		again := p.runOn(i, j)
		again.Wasted = o.Fuel
		return again
	}
	return o
}

// runOn has an instance answer, and discards it if it failed.
func (p *policy) runOn(i *guest.Instance, j *judgement) (o guest.Answer) {
	if f := i.Missing(&j.Request); f != nil {
		p.put(i)
		return guest.Answer{Fault: f}
	}
	i.Answer(&j.Request, p.callFuel(i, j), &o)
	if o.Fault != nil {
		p.discard(i)
		p.engine.starter.wants(p)
		return o
	}
	p.put(i)
	return o
}

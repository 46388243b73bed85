package hooks

import (
	"context"
	"log/slog"
	"math/bits"
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
	release func() // gives the compiled module back, when no instance is made of it any more
	digest  string // in hex
	log     *slog.Logger
	faults  *sparselog.Log // what is logged about it; the journal has all of it

	mu     sync.Mutex // held for moments only
	free   []*guest.Instance
	closed bool

	breaker  breaker
	asides   asides
	pace     *pace
	measures measures

	calls, denials, errors, fuelUsed atomic.Uint64
	spent                            fuelCounts
}

// ask puts one request to the policy. The request keeps its turn for the next policy, and
// whoever asked the last one ends it.
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

// slotFor sees to it that a judgement has a slot. waited means that much may have changed
// meanwhile.
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

// failing logs, now and then, that the policy could not answer or start.
func (p *policy) failing(f *guest.Fault, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("kind", f.Kind), slog.Any("err", f.Err)}, attrs...)
	p.faults.Log(slog.LevelWarn, f.Kind, "the policy could not answer", append(attrs, slog.String("mode", string(p.Mode)))...)
}

// count counts a call, and one for which there was no instance as none; begun is what timing
// returned.
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

// Kinds of faults of policies that were not called; those of calls are in package guest.
const (
	busy = "busy" // the request ended before a guest was free
	// The breaker of a policy does not count these two.
	breakerOpen = "breaker"  // it keeps failing
	starting    = "starting" // there is no instance, and the request does not wait for one
)

func (p *policy) run(j *judgement) guest.Answer {
	i, f := p.take(j)
	if f != nil {
		return guest.Answer{Fault: f}
	}
	used := i.Used()
	o := p.runOn(i, j)
	if o.Fault != nil && o.Fault.Kind == guest.OutOfFuel && used {
		// The collector of a language may have had its turn in this very call, and that can
		// cost more than all the rest. A fresh instance has nothing to collect, so what the
		// request costs there is what it costs.
		if i, f = p.anew(j); f != nil { // a shadow policy has none made
			return o
		}
		again := p.runOn(i, j)
		again.Wasted = o.Fuel
		return again
	}
	return o
}

// runOn has an instance answer, and gives it back or throws it away.
func (p *policy) runOn(i *guest.Instance, j *judgement) (o guest.Answer) {
	if f := i.Missing(&j.Request); f != nil {
		p.put(i)
		return guest.Answer{Fault: f}
	}
	i.Answer(&j.Request, p.budget(i, j), &o)
	if o.Fault != nil {
		p.discard(i)
		p.engine.starter.wants(p)
		return o
	}
	p.put(i)
	return o
}

// take returns an instance that is free, a new one if need be.
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

// put gives an instance back.
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

// instantiate makes an instance, and counts it.
func (p *policy) instantiate() (*guest.Instance, *guest.Fault) {
	begun := time.Now()
	i, f := p.Start()
	if f == nil {
		p.measures.live.Add(1)
	}
	p.measures.starts.Add(1)
	now := time.Now()
	p.pace.spend(now, now.Sub(begun))
	return i, f
}

// fuelCounts counts calls by the fuel they used, in powers of two.
type fuelCounts [64]atomic.Uint64

func (h *fuelCounts) add(fuel int64) { h[bits.Len64(uint64(max(fuel, 0)))].Add(1) }

// quantile returns an upper bound of the fuel that so large a part of calls used.
func (h *fuelCounts) quantile(part float64) int64 {
	var counts [64]uint64
	var all uint64
	for i := range h {
		counts[i] = h[i].Load()
		all += counts[i]
	}
	if all == 0 {
		return 0
	}
	var n uint64
	for i, c := range counts {
		if n += c; float64(n) >= part*float64(all) {
			return 1<<i - 1
		}
	}
	return 0
}

package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/internal/memory"
	"github.com/octostore/octostore/hooks/meter"
)

// policy is a loaded module with its instances.
type policy struct {
	manifest.Policy
	engine   *engine
	compiled wazero.CompiledModule // shared; see modules
	release  func()                // gives it back, when no instance is made of it any more
	digest   string                // in hex
	mayRead  bool                  // its configuration, without an export for that
	config   string                // as the manifest has it
	log      *slog.Logger
	lines    logLines                       // of what it logs itself
	faults   *sparselog.Log                 // what is logged about it; the journal has all of it
	heard    func(level int32, text string) // who listens in a trial; nil: the log

	mu     sync.Mutex // held for moments only
	free   []*instance
	closed bool

	breaker  breaker
	asides   asides
	pace     *pace
	measures measures

	calls, denials, errors, fuelUsed atomic.Uint64
	spent                            fuelCounts
}

// Kinds of faults the host decides by.
const (
	outOfFuel = "out_of_fuel"
	busy      = "busy" // the request ended before a guest was free
	// A policy is not called with these two, and its breaker does not count them.
	breakerOpen = "breaker"  // it keeps failing
	starting    = "starting" // there is no instance, and the request does not wait for one
)

// fault is why a policy could not answer.
type fault struct {
	kind string // out_of_fuel, trap, result, start, configure, busy, breaker, starting
	err  error
}

func (f *fault) Error() string { return f.kind + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// maxFault bounds what is told of a fault, in bytes: it goes into the log and the journal.
const maxFault = 1 << 10

// printable is an error of the runtime, fit to be told: a guest has a say in what is in it.
func printable(err error) error { return errors.New(clean([]byte(err.Error()), maxFault)) }

// outcome is what came of one call.
type outcome struct {
	denies   bool
	reason   string
	retry    time.Duration
	ttl      time.Duration // cap; 0: none
	wait     time.Duration // cap, where capsWait
	capsWait bool
	priority lock.Priority // where sets
	sets     bool
	notes    []lock.Note
	fuel     int64
	wasted   int64 // fuel of a call that was given up for one of a fresh instance
	fault    *fault
}

// ask puts one request to the policy. The request keeps its turn for the next policy, and
// whoever asked the last one ends it.
func (p *policy) ask(ctx context.Context, r *request) outcome {
	probe, f := p.breaker.enter()
	if f != nil {
		p.errors.Add(1)
		return outcome{fault: f}
	}
	if probe {
		defer p.breaker.leave()
	}
	waited, err := p.placeFor(ctx, r)
	if err != nil {
		return outcome{fault: &fault{busy, err}}
	}
	if waited && !probe {
		if f := p.breaker.opensMeanwhile(); f != nil {
			p.errors.Add(1)
			return outcome{fault: f}
		}
	}
	begun := p.timing()
	o := p.run(r)
	r.spent += o.fuel + o.wasted
	p.count(o, begun)
	p.settle(probe, o.fault)
	switch {
	case o.fault != nil:
		p.failing(o.fault, slog.String("lock", string(r.q.Asked.Name)))
	case o.denies:
		p.denials.Add(1)
	}
	return o
}

// placeFor sees to it that a request has a turn. waited means that much may have changed
// meanwhile.
func (p *policy) placeFor(ctx context.Context, r *request) (waited bool, err error) {
	switch {
	case r.turns == nil:
		if waited, err = p.place(ctx, false); err == nil {
			r.turns, r.spent = p.engine.turns, 0
		}
	case r.spent >= turnFuel:
		waited, err = p.measures.waiting(func() (bool, error) { return r.keepTurn(ctx) })
	}
	return waited, err
}

// failing logs, now and then, that the policy could not answer or start.
func (p *policy) failing(f *fault, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("kind", f.kind), slog.Any("err", f.err)}, attrs...)
	p.faults.Log(slog.LevelWarn, f.kind, "the policy could not answer", append(attrs, slog.String("mode", string(p.Mode)))...)
}

// count counts a call, and one for which there was no instance as none; begun is what timing
// returned.
func (p *policy) count(o outcome, begun time.Time) {
	if o.fault != nil && o.fault.kind == starting {
		p.errors.Add(1)
		return
	}
	p.timed(begun)
	p.calls.Add(1)
	p.spent.add(o.fuel)
	p.fuelUsed.Add(uint64(max(o.fuel, 0) + max(o.wasted, 0)))
	if o.fault != nil {
		p.errors.Add(1)
	}
}

func (p *policy) run(r *request) outcome {
	i, f := p.take(r)
	if f != nil {
		return outcome{fault: f}
	}
	used := i.used
	o := p.runOn(i, r)
	if o.fault != nil && o.fault.kind == outOfFuel && used {
		// The collector of a language may have had its turn in this very call, and that can
		// cost more than all the rest. A fresh instance has nothing to collect, so what the
		// request costs there is what it costs.
		if i, f = p.anew(r); f != nil { // a shadow policy has none made
			return o
		}
		again := p.runOn(i, r)
		again.wasted = o.fuel
		return again
	}
	return o
}

// runOn has an instance answer, and gives it back or throws it away.
func (p *policy) runOn(i *instance, r *request) outcome {
	f, name := i.check, abi.ExportCheck
	if r.event != nil {
		f, name = i.observe, abi.ExportObserve
	}
	if f == nil { // a server does not load it for that
		p.put(i)
		return outcome{fault: &fault{"result", fmt.Errorf("it does not export %s", name)}}
	}
	c := &i.answering // all zero between calls
	c.policy, c.request = p, r
	result, failed := i.call(f, c, p.budget(i, r))
	o := c.outcome
	o.fuel = c.spent
	*c = call{} // nothing of a request is kept
	switch {
	case failed != nil:
		p.discard(i)
		p.engine.starter.wants(p)
		return outcome{fault: failed, fuel: o.fuel}
	case result == abi.Allow: // of an observe: done
	case result == abi.Deny && r.event == nil:
		o.denies = true
		if o.reason == "" {
			o.reason = "denied by " + p.Name
		}
	default:
		p.discard(i)
		p.engine.starter.wants(p)
		err := fmt.Errorf("%s returned %d", name, result)
		if r.event != nil && o.reason != "" {
			err = fmt.Errorf("%w: %s", err, o.reason)
		}
		return outcome{fault: &fault{"result", err}, fuel: o.fuel, reason: o.reason}
	}
	i.used = true
	p.put(i)
	return o
}

// instance is one guest. It is used by one goroutine at a time.
type instance struct {
	module  api.Module
	fuel    api.MutableGlobal
	check   api.Function // nil: it has none
	observe api.Function // nil: it has none
	now     *call        // nil between calls
	stack   [1]uint64

	// Used again for every call.
	ctx       guestContext
	answering call
	caller    guest

	used bool // it has answered before
}

// guestContext leads what a guest imports back to its instance. Nothing else is in it: a
// guest cannot be interrupted.
type guestContext struct {
	context.Context
	instance *instance
}

type instanceKey struct{}

// Value is asked by the runtime, about matters of its own, at every call.
func (c *guestContext) Value(key any) any {
	if _, is := key.(instanceKey); is {
		return c.instance
	}
	return nil
}

// instanceOf returns the instance whose call a context belongs to.
func instanceOf(ctx context.Context) *instance {
	if c, is := ctx.(*guestContext); is {
		return c.instance
	}
	return ctx.Value(instanceKey{}).(*instance) // at the start there are others around it
}

// take returns an instance that is free, a new one if need be.
func (p *policy) take(r *request) (*instance, *fault) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return i, nil
	}
	p.mu.Unlock()
	return p.anew(r)
}

// put gives an instance back.
func (p *policy) put(i *instance) {
	p.mu.Lock()
	keep := !p.closed && len(p.free) < p.engine.turns.most
	if keep {
		p.free = append(p.free, i)
	}
	p.mu.Unlock()
	if !keep {
		p.discard(i)
	}
}

func (p *policy) discard(i *instance) {
	p.measures.live.Add(-1)
	_ = i.module.Close(context.Background())
}

func (p *policy) close() {
	p.faults.Close()
	p.closeLines()
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	p.mu.Unlock()
	for _, i := range free {
		p.discard(i)
	}
	p.endStarts()
}

// instantiate makes an instance, starts it and has it read its configuration. All of
// that has one budget, loadFuel.
func (p *policy) instantiate() (*instance, *fault) {
	begun := time.Now()
	i, f := p.start()
	p.measures.starts.Add(1)
	now := time.Now()
	p.pace.spend(now, now.Sub(begun))
	return i, f
}

func (p *policy) start() (*instance, *fault) {
	begin := &call{policy: p, request: startRequest(p), starting: true}
	i := &instance{now: begin}
	i.ctx = guestContext{context.Background(), i}
	space := memory.NewLinear(&p.measures.memory)
	ctx := experimental.WithMemoryAllocator(&i.ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		space.Reserve(most)
		return space
	}))
	// What the start section may spend stands in the module.
	m, err := p.engine.runtime.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		space.Free() // the runtime frees that of instances only
		return nil, &fault{"start", begin.trapped(err)}
	}
	p.measures.live.Add(1)
	i.module = m
	i.know(m)
	i.check, i.observe = m.ExportedFunction(abi.ExportCheck), m.ExportedFunction(abi.ExportObserve)
	if f := m.ExportedFunction(abi.ExportInitialize); f != nil {
		if _, f := i.call(f, &call{policy: p, request: startRequest(p), starting: true}, i.left()); f != nil {
			p.discard(i)
			return nil, &fault{"start", f}
		}
	}
	if f := i.configure(p); f != nil {
		p.discard(i)
		return nil, f
	}
	i.now = nil
	return i, nil
}

// tooDeep reports whether the call that trapped found no room on the native stack.
func (i *instance) tooDeep() bool { return int64(i.module.ExportedGlobal(meter.Stack).Get()) < 0 }

// left is the fuel that the call before has left.
func (i *instance) left() int64 { return int64(i.fuel.Get()) }

func (i *instance) configure(p *policy) *fault {
	f := i.module.ExportedFunction(abi.ExportConfigure)
	if f == nil && !p.mayRead && !givesNothing(p.Config) {
		return unreadConfig
	}
	if f == nil {
		return nil
	}
	c := &call{policy: p, request: startRequest(p), starting: true}
	result, failed := i.call(f, c, i.left())
	switch {
	case failed != nil:
		return &fault{"configure", failed}
	case result == 0:
		return nil
	case c.outcome.reason == "":
		return &fault{"configure", fmt.Errorf("it refuses its configuration with %d", result)}
	}
	return &fault{"configure", errors.New(c.outcome.reason)}
}

// call runs a function of the guest on so much fuel.
func (i *instance) call(f api.Function, c *call, fuel int64) (int32, *fault) {
	i.now = c
	i.fuel.Set(uint64(fuel))
	err := f.CallWithStack(&i.ctx, i.stack[:]) // it does not panic, whatever the guest does
	if len(c.output) > 0 {                     // the last line has no end
		c.say(abi.LevelInfo, clean(c.output, abi.MaxLogLine))
	}
	left := int64(i.fuel.Get())
	if g := &i.caller; g.inside { // it ended in a host function
		left, g.inside = g.left, false
	}
	i.now, i.caller.call = nil, nil
	c.spent = min(fuel-left, fuel)
	switch {
	case left < 0 && c.starting:
		return 0, &fault{outOfFuel, fmt.Errorf("the %d units of a start are used up", loadFuel)}
	case left < 0 && fuel > c.policy.Fuel:
		return 0, &fault{outOfFuel, fmt.Errorf("the %d units of a call, and %d more of a first call, are used up", c.policy.Fuel, fuel-c.policy.Fuel)}
	case left < 0:
		return 0, &fault{outOfFuel, fmt.Errorf("the %d units of a call are used up", fuel)}
	case err != nil && i.tooDeep():
		return 0, &fault{"trap", fmt.Errorf("its calls are nested too deep: the %d MiB of stack are used up: %w", meter.MaxStack>>20, c.trapped(err))}
	case err != nil:
		return 0, &fault{"trap", c.trapped(err)}
	}
	return int32(i.stack[0]), nil
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

package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/hooks/abi"
)

// policy is a loaded module with its instances.
type policy struct {
	Policy
	engine   *engine
	compiled wazero.CompiledModule // shared; see modules
	release  func()                // gives it back
	digest   string                // in hex
	log      *slog.Logger
	lines    lineRate                       // of what it logs itself
	faults   *sparselog.Log                 // what is logged about it; the journal has all of it
	heard    func(level int32, text string) // who listens in a trial; nil: the log

	mu     sync.Mutex // held for moments only
	free   []*instance
	closed bool

	calls, denials, errors, fuelUsed atomic.Uint64
	spent                            fuelCounts
}

// Kinds of faults the host decides by.
const (
	outOfFuel = "out_of_fuel"
	busy      = "busy" // the request ended before a guest was free
)

// fault is why a policy could not answer.
type fault struct {
	kind string // out_of_fuel, trap, result, start, configure, busy
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
	fault    *fault
}

// ask puts one request to the policy.
func (p *policy) ask(ctx context.Context, r *request) outcome {
	if err := p.engine.turns.take(ctx, false); err != nil {
		return outcome{fault: &fault{busy, err}}
	}
	defer p.engine.turns.done(false)
	o := p.run(r)
	p.count(o)
	switch {
	case o.fault != nil:
		p.faults.Log(slog.LevelWarn, o.fault.kind, "the policy could not answer", slog.String("kind", o.fault.kind),
			slog.Any("err", o.fault.err), slog.String("lock", string(r.q.Asked.Name)), slog.String("mode", string(p.Mode)))
	case o.denies:
		p.denials.Add(1)
	}
	return o
}

func (p *policy) count(o outcome) {
	p.calls.Add(1)
	p.spent.add(o.fuel)
	p.fuelUsed.Add(uint64(max(o.fuel, 0)))
	if o.fault != nil {
		p.errors.Add(1)
	}
}

func (p *policy) run(r *request) outcome {
	i, f := p.take()
	if f != nil {
		return outcome{fault: f}
	}
	o := p.runOn(i, r)
	if o.fault != nil && o.fault.kind == outOfFuel && i.used {
		// The collector of a language may have had its turn in this very call, and that can
		// cost more than all the rest. A fresh instance has nothing to collect, so what the
		// request costs there is what it costs.
		if i, f = p.instantiate(); f != nil {
			return outcome{fault: f}
		}
		return p.runOn(i, r)
	}
	return o
}

// runOn has an instance answer, and gives it back or throws it away.
func (p *policy) runOn(i *instance, r *request) outcome {
	c := &i.answering
	*c = call{policy: p, request: r}
	f, name := i.check, abi.ExportCheck
	if r.event != nil {
		f, name = i.observe, abi.ExportObserve
	}
	if f == nil { // a server does not load it for that
		p.put(i)
		return outcome{fault: &fault{"result", fmt.Errorf("it does not export %s", name)}}
	}
	result, failed := i.call(f, c, p.Fuel)
	o := c.outcome
	o.fuel = c.spent
	*c = call{} // nothing of a request is kept
	switch {
	case failed != nil:
		p.discard(i)
		return outcome{fault: failed, fuel: o.fuel}
	case result == abi.Allow: // of an observe: done
	case result == abi.Deny && r.event == nil:
		o.denies = true
		if o.reason == "" {
			o.reason = "denied by " + p.Name
		}
	default:
		p.discard(i)
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
	check   api.Function    // nil: it has none
	observe api.Function    // nil: it has none
	ctx     context.Context // leads what the guest imports back here
	now     *call           // nil between calls
	stack   [1]uint64

	answering call // used again for every call

	used bool // it has answered before
}

type instanceKey struct{}

// take returns an instance that nobody uses, a new one if need be.
func (p *policy) take() (*instance, *fault) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return i, nil
	}
	p.mu.Unlock()
	return p.instantiate()
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

func (p *policy) discard(i *instance) { _ = i.module.Close(context.Background()) }

func (p *policy) close() {
	p.faults.Close()
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	p.mu.Unlock()
	for _, i := range free {
		p.discard(i)
	}
	p.release()
}

// instantiate makes an instance, starts it and has it read its configuration.
func (p *policy) instantiate() (*instance, *fault) {
	i := &instance{now: &call{policy: p, request: startRequest(p), starting: true}}
	i.ctx = context.WithValue(context.Background(), instanceKey{}, i)
	memory := &guestMemory{}
	ctx := experimental.WithMemoryAllocator(i.ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		memory.reserve(most)
		return memory
	}))
	// What the start section may spend stands in the module.
	m, err := p.engine.runtime.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		memory.Free() // the runtime frees that of instances only
		return nil, &fault{"start", printable(err)}
	}
	i.module = m
	i.fuel = fuelOf(m)
	i.check, i.observe = m.ExportedFunction(abi.ExportCheck), m.ExportedFunction(abi.ExportObserve)
	if f := m.ExportedFunction(abi.ExportInitialize); f != nil {
		if _, f := i.call(f, &call{policy: p, request: startRequest(p), starting: true}, loadFuel); f != nil {
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

func (i *instance) configure(p *policy) *fault {
	f := i.module.ExportedFunction(abi.ExportConfigure)
	if f == nil {
		return nil
	}
	c := &call{policy: p, request: startRequest(p), starting: true}
	result, failed := i.call(f, c, loadFuel)
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
	defer func() { i.now = nil }()
	i.fuel.Set(uint64(fuel))
	err := f.CallWithStack(i.ctx, i.stack[:])
	left := int64(i.fuel.Get())
	c.spent = min(fuel-left, fuel)
	switch {
	case left < 0:
		return 0, &fault{outOfFuel, fmt.Errorf("the %d units of a call are used up", fuel)}
	case err != nil:
		return 0, &fault{"trap", printable(err)}
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

// lineRate bounds how many lines a policy may log in a second.
type lineRate struct {
	second atomic.Int64
	count  atomic.Int64
}

const linesPerSecond = 100

func (l *lineRate) allows(now time.Time) bool {
	if s := now.Unix(); l.second.Swap(s) != s {
		l.count.Store(0)
	}
	return l.count.Add(1) <= linesPerSecond
}

func (p *policy) logLine(level int32, text string) {
	if !p.lines.allows(time.Now()) {
		return
	}
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	p.log.Log(context.Background(), levels[max(0, min(level, 3))], strconv.Quote(text))
}

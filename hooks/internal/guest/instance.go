package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/memory"
	"github.com/octostore/octostore/hooks/meter"
)

// Instance is one guest. One goroutine uses it at a time.
type Instance struct {
	program *Program
	module  api.Module
	fuel    api.MutableGlobal
	check   api.Function // nil: it has none
	observe api.Function // nil: it has none
	now     *call        // nil between calls
	stack   [1]uint64

	// Reused by every call.
	ctx       guestContext
	answering call
	caller    caller

	used bool // it has answered before
}

// guestContext leads host functions to the instance of their guest. It carries no deadline, because a
// guest cannot be interrupted.
type guestContext struct {
	context.Context
	instance *Instance
}

type instanceKey struct{}

// Value answers the runtime, which looks for its own keys at every call.
func (c *guestContext) Value(key any) any {
	if _, is := key.(instanceKey); is {
		return c.instance
	}
	return nil
}

// instanceOf returns the instance of a context.
func instanceOf(ctx context.Context) *Instance {
	if c, is := ctx.(*guestContext); is {
		return c.instance
	}
	return ctx.Value(instanceKey{}).(*Instance) // at the start there are others around it
}

// LoadFuel is the fuel of a start, configuration included, because language runtimes do much work once.
const LoadFuel = 30_000_000

// Start makes an instance, starts it and configures it, on [LoadFuel] in all.
func (p *Program) Start() (*Instance, *Fault) {
	begin := &call{program: p, request: startRequest(p), starting: true}
	i := &Instance{program: p, now: begin}
	i.ctx = guestContext{context.Background(), i}
	space := memory.NewLinear(&p.Memory)
	ctx := experimental.WithMemoryAllocator(&i.ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		space.Reserve(most)
		return space
	}))
	// The module itself has the fuel of its start section.
	m, err := p.Runtime.InstantiateModule(ctx, p.Compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		space.Free() // the runtime frees the memory of instances only
		return nil, &Fault{"start", begin.trapped(err)}
	}
	i.module = m
	i.know(m)
	i.check, i.observe = m.ExportedFunction(abi.ExportCheck), m.ExportedFunction(abi.ExportObserve)
	if f := m.ExportedFunction(abi.ExportInitialize); f != nil {
		if _, f := i.call(f, &call{program: p, request: startRequest(p), starting: true}, i.Left()); f != nil {
			i.Close()
			return nil, &Fault{"start", f}
		}
	}
	if f := i.configure(p); f != nil {
		i.Close()
		return nil, f
	}
	i.now = nil
	return i, nil
}

// tooDeep reports whether the call trapped because the native stack was full.
func (i *Instance) tooDeep() bool { return int64(i.module.ExportedGlobal(meter.Stack).Get()) < 0 }

// Left is the fuel that the last call left.
func (i *Instance) Left() int64 { return int64(i.fuel.Get()) }

func (i *Instance) configure(p *Program) *Fault {
	f := i.module.ExportedFunction(abi.ExportConfigure)
	if f == nil && !p.MayReadConfig && !givesNothing(p.Config) {
		return unreadConfig
	}
	if f == nil {
		return nil
	}
	c := &call{program: p, request: startRequest(p), starting: true}
	result, failed := i.call(f, c, i.Left())
	switch {
	case failed != nil:
		return &Fault{"configure", failed}
	case result == 0:
		return nil
	case c.answer.Reason == "":
		return &Fault{"configure", fmt.Errorf("it refuses its configuration with %d", result)}
	}
	return &Fault{"configure", errors.New(c.answer.Reason)}
}

// call runs a function of the guest with an amount of fuel.
func (i *Instance) call(f api.Function, c *call, fuel int64) (int32, *Fault) {
	i.now = c
	i.fuel.Set(uint64(fuel))
	err := f.CallWithStack(&i.ctx, i.stack[:]) // it does not panic, whatever the guest does
	if len(c.output) > 0 {                     // the last line has no end
		c.say(abi.LevelInfo, Printable(c.output, abi.MaxLogLine))
	}
	left := int64(i.fuel.Get())
	if g := &i.caller; g.inside { // it ended in a host function
		left, g.inside = g.left, false
	}
	i.now, i.caller.call = nil, nil
	c.spent = min(fuel-left, fuel)
	switch {
	case left < 0 && c.starting:
		return 0, &Fault{OutOfFuel, fmt.Errorf("the %d units of a start are used up", LoadFuel)}
	case left < 0 && fuel > c.program.Fuel:
		return 0, &Fault{
			OutOfFuel,
			fmt.Errorf("the %d units of a call, and %d more of a first call, are used up", c.program.Fuel, fuel-c.program.Fuel),
		}
	case left < 0:
		return 0, &Fault{OutOfFuel, fmt.Errorf("the %d units of a call are used up", fuel)}
	case err != nil && i.tooDeep():
		return 0, &Fault{
			"trap",
			fmt.Errorf("its calls are nested too deep: the %d MiB of stack are used up: %w", meter.MaxStack>>20, c.trapped(err)),
		}
	case err != nil:
		return 0, &Fault{"trap", c.trapped(err)}
	}
	return int32(i.stack[0]), nil
}

// Answer calls the instance with a request and an amount of fuel, and stores the result in o. After a
// fault the caller closes the instance. It must export the function that the request calls: see
// [Instance.Missing].
func (i *Instance) Answer(r *Request, fuel int64, o *Answer) {
	f, name := i.export(r)
	c := &i.answering // all zero between calls
	c.program, c.request = i.program, r
	result, failed := i.call(f, c, fuel)
	*o = c.answer
	o.Fuel = c.spent
	*c = call{} // nothing of a request is kept
	switch {
	case failed != nil:
		*o = Answer{Fault: failed, Fuel: o.Fuel}
		return
	case result == abi.Allow: // of an observe: done
	case result == abi.Deny && r.event == nil:
		o.Denies = true
		if o.Reason == "" {
			o.Reason = "denied by " + i.program.Name
		}
	default:
		err := fmt.Errorf("%s returned %d", name, result)
		if r.event != nil && o.Reason != "" {
			err = fmt.Errorf("%w: %s", err, o.Reason)
		}
		*o = Answer{Fault: &Fault{"result", err}, Fuel: o.Fuel, Reason: o.Reason}
		return
	}
	i.used = true
}

// export returns the function for a request, and its name.
func (i *Instance) export(r *Request) (api.Function, string) {
	if r.event != nil {
		return i.observe, abi.ExportObserve
	}
	return i.check, abi.ExportCheck
}

// Missing returns a fault if the instance does not export the function for a request. A server does
// not load a module in such a case, a trial does.
func (i *Instance) Missing(r *Request) *Fault {
	if f, name := i.export(r); f == nil {
		return &Fault{"result", fmt.Errorf("it does not export %s", name)}
	}
	return nil
}

// Used reports whether the instance has answered a request.
func (i *Instance) Used() bool { return i.used }

// MemorySize is the size of the memory of the instance, in bytes.
func (i *Instance) MemorySize() int64 { return int64(i.module.Memory().Size()) }

// Close closes the instance and frees its memory.
func (i *Instance) Close() { _ = i.module.Close(context.Background()) }

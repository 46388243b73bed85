// Package hooks is the host side of policies: WebAssembly modules that decide before a lock is
// granted, renewed or broken. Package abi has the interface they are written to, package meter
// bounds their work.
//
// A [Host] has one set of policies at a time, which a manifest describes, and is the guard of a
// core.Service. [Host.Reload] builds a new set and then swaps it in; calls under way finish on the
// old one.
//
// # Words
//
// A guest is an instance of a module. A judgement is the evaluation of one question by all policies
// that cover it. A guest slot is the right to run one guest. Fuel is the number of instructions that a
// call may execute. A fault is why a policy could not answer. A start makes an instance.
//
// # What is promised
//
//   - Guests have no capabilities: no files, no sockets, no clock but the request's.
//     They never see a lease id, an idempotency key or a bearer token.
//   - A call ends when its fuel is used up. Fewer guests than GOMAXPROCS run at a time, and at
//     least one.
//   - [Config.Compile] compiles modules within limits. Cached code runs only if it is the code that
//     was compiled. Without machine code an interpreter runs policies: they mean the same, and
//     cost the same fuel.
//   - An instance that trapped is discarded. Between calls the host keeps nothing of a request; a
//     module can keep data in its own memory.
//   - The order of policies does not matter: every policy sees the original request, any veto
//     denies, the lowest cap counts, the rearmost priority counts, and notes carry the name of
//     their policy.
//   - A policy in shadow mode is recorded and never affects a request, whatever happens to it. It
//     costs a request at most the fuel of one call, because its instances start in the background.
//   - An enforcing policy costs a request at most twice its fuel, [FirstCallFuel] and one start of an
//     instance (30 million units): a call that runs out of fuel, a start, and the first call of a
//     fresh instance.
//   - After five failures in a row the breaker of a policy opens: on_error answers, and a probe calls
//     the policy, first after 100 ms and later every 30 s. Starts take at most a quarter of the time.
//   - Observers see committed events at least once and in order. One guest of theirs runs at a time,
//     and only when no check waits for a guest slot.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Config says where policies are, and how they are compiled.
type Config struct {
	Manifest string // path of policies.json
	// CacheDir is the folder for compiled modules, which belongs to this user and is made if it
	// does not exist; empty: modules are compiled at every start. An account that can write there
	// can run code in this process. An unusable folder or damaged code costs time and a warning.
	CacheDir string
	// Compile compiles modules within limits; nil: this process compiles them, without limits.
	Compile Compiler
	Logger  *slog.Logger // nil: nothing is logged
	Tracer  Tracer       // nil: calls are not traced

	pauses []time.Duration // between the tries of an event; nil: the usual
}

// Host evaluates policies. Make one with [Open]; it is safe for use by many goroutines.
type Host struct {
	cfg    Config
	engine *engine

	loading sync.Mutex // one reload at a time, and none after the end
	closed  bool       // guarded by loading

	set atomic.Pointer[set]

	observers atomic.Pointer[observers] // nil: there are none
}

// errClosed is the error of a call after Close.
var errClosed = errors.New("the host of policies is closed")

// Open loads the manifest and all its modules. The error names every mistake of the manifest, or the
// module and its fault. The caller closes the host.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := manifest.Read(cfg.Manifest)
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg}
	// A guest cannot be interrupted, so one processor is left for everything else.
	h.engine, err = openEngine(ctx, cfg, max(1, runtime.GOMAXPROCS(0)-1), func(e *engine) error {
		e.starter = openStarter()
		s, err := e.load(ctx, m)
		if err != nil {
			e.starter.close()
			return fmt.Errorf("%s: %w", cfg.Manifest, err)
		}
		h.swap(s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Compile-time proof that a host can guard a service.
var _ core.Guard = (*Host)(nil)

// Close waits for a reload under way, stops the observers, waits for running guests, which end soon,
// and closes all instances. Later calls get an error.
func (h *Host) Close() error {
	h.loading.Lock()
	defer h.loading.Unlock()
	h.closed = true
	h.EndObserving()
	h.engine.starter.close()
	h.engine.slots.close()
	h.swap(nil)
	return h.engine.close()
}

// Reload loads the manifest and its modules again and puts them into force, or changes nothing and
// returns an error. It compiles changed modules only, and gives up when ctx ends. It returns a
// description of the changes.
func (h *Host) Reload(ctx context.Context) (changes string, err error) {
	h.loading.Lock()
	defer h.loading.Unlock()
	if h.closed {
		return "", errClosed
	}
	m, err := manifest.Read(h.cfg.Manifest)
	if err != nil {
		return "", err
	}
	s, err := h.engine.load(ctx, m)
	if err != nil {
		return "", fmt.Errorf("%s: %w", h.cfg.Manifest, err)
	}
	changes = difference(h.swap(s), s)
	if w := h.observers.Load(); w != nil {
		w.follow(ctx)
	}
	return changes, nil
}

// swap puts s into force and returns the set before, which is closed after its last call.
func (h *Host) swap(s *set) *set {
	if s != nil {
		s.users.Store(1)
	}
	old := h.set.Swap(s)
	if old != nil {
		h.leave(old)
	}
	return old
}

// enter returns the set in force, which stays open until leave.
func (h *Host) enter() *set {
	for {
		s := h.set.Load()
		if s == nil {
			return nil
		}
		if n := s.users.Load(); n > 0 && s.users.CompareAndSwap(n, n+1) {
			return s
		}
	}
}

func (h *Host) leave(s *set) {
	if s.users.Add(-1) == 0 {
		s.close()
	}
}

// current returns the set in force, for callers that run no guests.
func (h *Host) current() *set { return h.set.Load() }

// Covers implements [core.Guard].
func (h *Host) Covers(hook core.Hook, name lock.Name) bool {
	s := h.current()
	return s != nil && s.covers(hook, name)
}

// Judge implements [core.Guard]: it evaluates all policies of one set.
func (h *Host) Judge(ctx context.Context, q core.Question) (core.Decision, error) {
	s := h.enter()
	if s == nil {
		return core.Decision{}, &core.PolicyError{Policy: "all", Err: errClosed}
	}
	defer h.leave(s)
	return s.judge(ctx, &q)
}

// Engine returns the engine that runs policies.
func (h *Host) Engine() Engine { return h.engine.runtime.Engine() }

// Describe lists the policies in force, in words.
func (h *Host) Describe() string { return difference(nil, h.current()) }

// PolicySet returns the policies in force as the audit log has them, nil after Close. It is shared: do
// not change it.
func (h *Host) PolicySet() *lock.PolicySet {
	s := h.current()
	if s == nil {
		return nil
	}
	return &s.described
}

// Policies returns the policies of the manifest in force, in its order, those in mode off included.
func (h *Host) Policies() []Status {
	s := h.current()
	if s == nil {
		return nil
	}
	all := s.status()
	if w := h.observers.Load(); w != nil {
		w.describe(all)
	}
	return withOff(all, s.off, func(p manifest.Policy) Status { return Status{Policy: p} })
}

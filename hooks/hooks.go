// Package hooks is the host side of policies: WebAssembly modules that are asked
// before a lock is given, renewed or broken. Package abi has the interface they are
// written to, package meter what bounds them.
//
// A [Host] has one set of policies at a time, as a manifest describes it, and is the
// guard of a core.Service. [Host.Reload] builds a whole new set aside and then swaps
// it in; calls under way finish on the old one.
//
// # What is promised
//
//   - Guests have no capabilities: no files, no sockets, no clock but the request's.
//     They never see a lease id, an idempotency key or a bearer token.
//   - A call ends when its fuel is used up. Fewer guests than GOMAXPROCS run at a
//     time, but for where that is 1.
//   - A module is compiled where that is bounded, if [Config.Compile] says where. Code that
//     is kept is run only if it is what was compiled. Where there can be no machine code,
//     policies are interpreted: they mean the same, and cost the same fuel.
//   - An instance that trapped is thrown away. Between calls the host keeps nothing of
//     a request; a module that keeps something in its own memory does so for all who
//     trusted it with their lock names.
//   - Composition has no order: every policy sees the request as it came, any veto
//     denies, caps take the minimum, the rearmost priority counts, notes are kept under the
//     policy's name.
//   - A policy in shadow mode is recorded and never in the way, whatever happens to it. It
//     costs a request the fuel of a call at most, in all: its instances are made aside.
//   - An enforcing policy costs a request at most twice its fuel, [FirstCallFuel] and one
//     start of an instance (30 million units): that is a call of an instance which runs out
//     of fuel, a start, and the first call of a fresh one.
//   - A policy that fails five times in a row has an open breaker: its on_error answers, and
//     one call probes, after 100 ms at first and every 30 s in the end. An instance that
//     a policy needs again and again is not made more often than in a quarter of the time.
//   - Observers see committed events at least once and in order, one guest of theirs at a
//     time and only when nobody who asks for a lock waits for a guest.
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

// Config says where policies are.
type Config struct {
	Manifest string // path of policies.json
	// CacheDir is a folder of this user that keeps compiled modules, made if it is not there;
	// empty: they are compiled at every start. An account that can write there can run code
	// in this process. A folder that cannot be used, or what is damaged in it, costs time
	// and a warning, nothing else.
	CacheDir string
	// Compile compiles modules where that is bounded; nil: in this process, however long it
	// takes.
	Compile Compiler
	Logger  *slog.Logger // nil: nothing is logged

	pauses []time.Duration // between the tries of an event; nil: the usual
}

// Host asks policies. Make one with [Open]; it is safe for use by many goroutines.
type Host struct {
	cfg    Config
	engine *engine

	loading sync.Mutex // one reload at a time, and none after the end
	closed  bool       // guarded by loading

	set atomic.Pointer[set]

	observers *observers // nil until Observe
}

// errClosed is what a policy that is asked after the end answers.
var errClosed = errors.New("the host of policies is closed")

// Open loads the manifest and all its modules. The error names every mistake of the
// manifest, or the module and its fault. The caller closes the host after the last
// call.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := manifest.Read(cfg.Manifest)
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg}
	// A guest cannot be interrupted, so one place is kept for what is none.
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

// Close waits for a reload under way, ends the observers, waits for the guests that run,
// which is not long, and ends all instances. Whoever asks from now on, or reloads, gets
// an error.
func (h *Host) Close() error {
	h.loading.Lock()
	defer h.loading.Unlock()
	h.closed = true
	if h.observers != nil {
		h.observers.close()
	}
	h.engine.starter.close()
	h.engine.slots.close()
	h.swap(nil)
	return h.engine.close()
}

// Reload loads the manifest and its modules again and lets them rule, or changes
// nothing and says why. It compiles only what has changed, and gives up when ctx ends. It
// returns what changed, in words.
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
	if h.observers != nil {
		h.observers.follow(ctx)
	}
	return changes, nil
}

// swap lets s rule and returns the set before, which is closed when its last call has
// left.
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

// enter returns the set that rules, which stays open until leave.
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

// current returns the set that rules, for what does not call its guests.
func (h *Host) current() *set { return h.set.Load() }

// Covers implements [core.Guard].
func (h *Host) Covers(hook core.Hook, name lock.Name) bool {
	s := h.current()
	return s != nil && s.covers(hook, name)
}

// Judge implements [core.Guard]: it asks all policies of one set.
func (h *Host) Judge(ctx context.Context, q core.Question) (core.Decision, error) {
	s := h.enter()
	if s == nil {
		return core.Decision{}, &core.PolicyError{Policy: "all", Err: errClosed}
	}
	defer h.leave(s)
	return s.judge(ctx, &q)
}

// Engine returns what runs the policies.
func (h *Host) Engine() Engine { return h.engine.runtime.Engine() }

// Describe says in words which policies rule.
func (h *Host) Describe() string { return difference(nil, h.current()) }

// PolicySet returns for the record what rules now, nil after the end. It is shared: do not
// change it.
func (h *Host) PolicySet() *lock.PolicySet {
	s := h.current()
	if s == nil {
		return nil
	}
	return &s.described
}

// Policies returns the policies of the manifest as it was last loaded, in its order, those
// that are off included.
func (h *Host) Policies() []Status {
	s := h.current()
	if s == nil {
		return nil
	}
	all := s.status()
	if h.observers != nil {
		h.observers.describe(all)
	}
	return withOff(all, s.off, func(p manifest.Policy) Status { return Status{Policy: p} })
}

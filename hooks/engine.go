package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/hooks/internal/compile"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/meter"
)

// engine is the WebAssembly runtime of a host, with everything its policies share.
type engine struct {
	runtime *compile.Runtime
	modules modules
	slots   *guestSlots
	starter *starter // nil: there are no background starts
	zones   guest.Zones
	log     *slog.Logger
	tracer  Tracer // nil: calls are not traced
}

const pagesPerMiB = 16

// openEngine opens an engine and passes it to use. If that returns [ErrUnavailable], it tries again
// with the next way to compile modules.
func openEngine(ctx context.Context, cfg Config, guests int, use func(*engine) error) (e *engine, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	_, err = compile.Open(
		ctx,
		compile.Config{CacheDir: cfg.CacheDir, Compile: cfg.Compile, Logger: cfg.Logger, Offer: guest.Offer},
		func(rt *compile.Runtime) error {
			e = &engine{runtime: rt, slots: newGuestSlots(guests), log: cfg.Logger, tracer: cfg.Tracer}
			return use(e)
		},
	)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *engine) close() error { return e.runtime.Close() }

// load builds a set, or leaves nothing behind. Of several faults it returns the first in the order of
// the manifest.
func (e *engine) load(ctx context.Context, m manifest.Manifest) (_ *set, err error) {
	var asked []manifest.Policy
	s := &set{}
	for i, described := range m.Policies {
		if described.Mode == manifest.Off {
			s.off = append(s.off, offPolicy{described, i})
			continue
		}
		asked = append(asked, described)
	}
	s.policies = make([]*policy, len(asked))
	faults := make([]error, len(asked))
	var all sync.WaitGroup
	processors := make(chan struct{}, runtime.NumCPU())
	for i, described := range asked {
		all.Go(func() {
			processors <- struct{}{}
			defer func() { <-processors }()
			s.policies[i], faults[i] = e.loadPolicy(ctx, described)
		})
	}
	all.Wait()
	for i, fault := range faults {
		if fault != nil {
			s.policies = slices.DeleteFunc(s.policies, func(p *policy) bool { return p == nil })
			s.close()
			return nil, fmt.Errorf("policy %s: module %s: %w", asked[i].Name, asked[i].Module, fault)
		}
	}
	s.described = describe(s.policies)
	return s, nil
}

func (e *engine) loadPolicy(ctx context.Context, described manifest.Policy) (*policy, error) {
	binary, err := ReadModule(described.Module)
	if err != nil {
		return nil, err
	}
	p, err := e.compile(ctx, described, binary)
	if err != nil {
		return nil, err
	}
	if err := p.makeFirst(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// makeFirst makes the first instance. That runs a guest, which needs a slot.
func (p *policy) makeFirst(ctx context.Context) error {
	if err := p.engine.slots.take(ctx, false); err != nil {
		return err
	}
	defer p.engine.slots.done(false)
	first, fault := p.instantiate()
	if fault != nil {
		return fault
	}
	p.put(first)
	return nil
}

// compile makes a policy of a module, without an instance.
func (e *engine) compile(ctx context.Context, described manifest.Policy, binary []byte) (*policy, error) {
	digest := digestOf(binary)
	if described.SHA256 != "" && described.SHA256 != digest {
		return nil, fmt.Errorf("its SHA-256 is %s, and %s is wanted", digest, described.SHA256)
	}
	if err := guest.TextHint(binary); err != nil {
		return nil, err
	}
	key := moduleKey{digest, meterConfig(described.MemoryMiB)}
	m, release, err := e.modules.use(key, func() (wazero.CompiledModule, error) {
		metered, err := instrument(binary, key.meter)
		if err != nil {
			return nil, err
		}
		return e.runtime.Compile(ctx, metered)
	})
	if err != nil {
		return nil, err
	}
	p := &policy{
		engine:      e,
		release:     release,
		digest:      digest,
		startBudget: newStartBudget(e.slots.most),
		log:         e.log.With("policy", described.Name),
	}
	p.Program = guest.Program{
		Policy: described, Runtime: e.runtime.Runtime, Compiled: m.compiled, MayReadConfig: guest.MayReadConfig(binary),
		Zones: &e.zones, Lines: guest.LogLines{To: p.log},
	}
	p.Configure(described.Config)
	p.faults = sparselog.New(p.log)
	hooks := described.Hooks
	if hooks == nil { // outside of a manifest
		hooks = guest.Servable(p.Compiled)
	}
	if err := guest.CheckModule(p.Compiled, hooks); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// meterConfig returns the limits that the meter builds into a module.
func meterConfig(memoryMiB int) meter.Config {
	return meter.Config{Fuel: guest.LoadFuel, MaxPages: uint32(memoryMiB) * pagesPerMiB}
}

// instrument gives a module its meter. A panic counts as an error of the module, because modules load
// in goroutines of their own, where a panic would end the process.
func instrument(binary []byte, cfg meter.Config) (metered []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the meter has failed on it: %v", r)
		}
	}()
	return meter.Instrument(binary, cfg)
}

// digestOf is the SHA-256 of a module, in hex.
func digestOf(binary []byte) string {
	sum := sha256.Sum256(binary)
	return hex.EncodeToString(sum[:])
}

// ReadModule reads the file of a module, up to the size that a server takes. It does not check the
// contents.
func ReadModule(path string) ([]byte, error) { return files.Read(path, compile.MaxModule) }

package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/compile"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/meter"
)

// engine is the one WebAssembly runtime of a host, with what it offers to guests.
type engine struct {
	runtime *compile.Runtime
	modules modules
	turns   *turns
	starter *starter // nil: instances are made when they are needed
	zones   zones
	log     *slog.Logger
}

const (
	// loadFuel is what a module may spend on its start and its configuration together: the
	// runtime of a language may have much to do once.
	loadFuel = 30_000_000

	pagesPerMiB = 16
)

// openEngine opens an engine in the first place where it can be used. What use returns is
// final unless it is [ErrUnavailable].
func openEngine(ctx context.Context, cfg Config, guests int, use func(*engine) error) (e *engine, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	_, err = compile.Open(ctx, compile.Config{CacheDir: cfg.CacheDir, Compile: cfg.Compile, Logger: cfg.Logger, Offer: offer}, func(rt *compile.Runtime) error {
		e = &engine{runtime: rt, turns: newTurns(guests), log: cfg.Logger}
		return use(e)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// offer adds what guests may import to a runtime.
func offer(ctx context.Context, rt wazero.Runtime) error {
	for module, functions := range map[string][]hostFunction{abi.Module: offered, wasiModule: wasi} {
		b := rt.NewHostModuleBuilder(module)
		for _, f := range functions {
			b = b.NewFunctionBuilder().WithGoModuleFunction(f.function(), types(f.params), types(f.results)).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("offer %s: %w", module, err)
		}
	}
	return nil
}

func (e *engine) close() error { return e.runtime.Close() }

// load builds a set, or returns why not and leaves nothing behind. Of several faults it
// returns the first by the order of the manifest.
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
	places := make(chan struct{}, runtime.NumCPU())
	for i, described := range asked {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
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

// makeFirst makes an instance to begin with. That runs a guest, which takes a turn.
func (p *policy) makeFirst(ctx context.Context) error {
	if err := p.engine.turns.take(ctx, false); err != nil {
		return err
	}
	defer p.engine.turns.done(false)
	first, fault := p.instantiate()
	if fault != nil {
		return fault
	}
	p.put(first)
	return nil
}

// compile makes a policy of a module, without an instance yet.
func (e *engine) compile(ctx context.Context, described manifest.Policy, binary []byte) (*policy, error) {
	digest := digestOf(binary)
	if described.SHA256 != "" && described.SHA256 != digest {
		return nil, fmt.Errorf("its SHA-256 is %s, and %s is wanted", digest, described.SHA256)
	}
	if err := textHint(binary); err != nil {
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
		Policy: described, engine: e, compiled: m.compiled, release: release, digest: digest,
		mayRead: mayReadConfig(binary), config: string(described.Config), pace: newPace(e.turns.most),
	}
	p.log = e.log.With("policy", p.Name)
	p.faults = sparselog.New(p.log)
	hooks := described.Hooks
	if hooks == nil { // outside of a manifest
		hooks = servable(p.compiled)
	}
	if err := checkModule(p.compiled, hooks); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// meterConfig is what a module is given by a manifest.
func meterConfig(memoryMiB int) meter.Config {
	return meter.Config{Fuel: loadFuel, MaxPages: uint32(memoryMiB) * pagesPerMiB}
}

// instrument gives a module its meter. A panic on it is an error of the module: policies load
// in goroutines of their own, where it would end the process.
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

// ReadModule reads the file of a module, as large as a server takes it. It does not look
// at what is in it.
func ReadModule(path string) ([]byte, error) { return files.Read(path, compile.MaxModule) }

// servable returns a hook of each kind that a module can serve, or the usual one if it
// can serve none.
func servable(m wazero.CompiledModule) (hooks []core.Hook) {
	exported := m.ExportedFunctions()
	if exported[abi.ExportObserve] != nil {
		hooks = append(hooks, manifest.HookObserve)
	}
	if exported[abi.ExportCheck] != nil || hooks == nil {
		hooks = append(hooks, core.HookAcquire)
	}
	return hooks
}

// checkModule says what a module that is to serve these hooks has to have, or must not
// have, by name.
func checkModule(m wazero.CompiledModule, hooks []core.Hook) error {
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		if err := checkImport(module, name, f); err != nil {
			return err
		}
	}
	for _, mem := range m.ImportedMemories() {
		module, name, _ := mem.Import()
		return fmt.Errorf("it imports the memory %s.%s; it has to have its own", shown(module), shown(name))
	}
	if _, has := m.ExportedMemories()[abi.ExportMemory]; !has {
		return fmt.Errorf("it does not export its memory as %q", abi.ExportMemory)
	}
	exported := m.ExportedFunctions()
	for _, hook := range hooks {
		needs := abi.ExportCheck
		if hook == manifest.HookObserve {
			needs = abi.ExportObserve
		}
		if exported[needs] == nil {
			return fmt.Errorf("it does not export %s, which hook %s needs", needs, hook)
		}
	}
	for name, results := range map[string]string{abi.ExportCheck: "i32", abi.ExportConfigure: "i32", abi.ExportObserve: "i32", abi.ExportInitialize: ""} {
		f := exported[name]
		if f != nil && (len(f.ParamTypes()) > 0 || !slices.Equal(f.ResultTypes(), types(results))) {
			return fmt.Errorf("its export %s has the wrong type; want () -> (%s)", name, results)
		}
	}
	return nil
}

func checkImport(module, name string, f api.FunctionDefinition) error {
	offer := map[string][]hostFunction{abi.Module: offered, wasiModule: wasi}[module]
	i := slices.IndexFunc(offer, func(h hostFunction) bool { return h.name == name })
	if i < 0 {
		return fmt.Errorf("it imports %s.%s, which is not offered", shown(module), shown(name))
	}
	if !slices.Equal(f.ParamTypes(), types(offer[i].params)) || !slices.Equal(f.ResultTypes(), types(offer[i].results)) {
		return fmt.Errorf("it imports %s.%s with the wrong type; want (%s) -> (%s)", module, name, offer[i].params, offer[i].results)
	}
	return nil
}

// shown is a name in a module as people may be shown it.
func shown(name string) string { return clean([]byte(name), abi.MaxKey) }

// types reads "i32 i64".
func types(s string) []api.ValueType {
	var all []api.ValueType
	for _, word := range strings.Fields(s) {
		t := api.ValueTypeI32
		if word == "i64" {
			t = api.ValueTypeI64
		}
		all = append(all, t)
	}
	return all
}

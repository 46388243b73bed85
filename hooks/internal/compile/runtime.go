package compile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tetratelabs/wazero"
)

// Config says where modules are compiled, and what they may import.
type Config struct {
	// CacheDir is the folder for compiled modules; empty: modules are compiled at every start.
	CacheDir string
	// Compile compiles modules within limits; nil: this process compiles them.
	Compile Compiler
	Logger  *slog.Logger // nil: nothing is logged
	// Offer adds the host functions that modules may import.
	Offer func(context.Context, wazero.Runtime) error
}

// Runtime compiles modules, and runs them. Make one with [Open].
type Runtime struct {
	wazero.Runtime
	engine Engine
	cache  wazero.CompilationCache // nil: none
	kept   *codeFolder             // nil: machine code is not kept
}

// Open opens a runtime with the best setup and passes it to use. If that returns [ErrUnavailable], it
// tries the next setup. The caller closes the runtime.
func Open(ctx context.Context, cfg Config, use func(*Runtime) error) (*Runtime, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var failed error
	for _, p := range cfg.setups() {
		if failed != nil {
			cfg.Logger.Warn(p.consequence(), "cause", failed)
		}
		r, err := openIn(ctx, cfg, p)
		if err == nil {
			err = use(r)
			if err == nil {
				r.kept.sweep()
				return r, nil
			}
			_ = r.Close() // the first error is the one to return
		}
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return nil, err
		}
		failed = err
	}
	return nil, failed
}

// openIn opens a runtime with one setup. A panic of the runtime, which misses something here, counts as
// [ErrUnavailable].
func openIn(ctx context.Context, cfg Config, p setup) (r *Runtime, err error) {
	r = &Runtime{engine: p.engine}
	rc := runtimeConfig(p.engine)
	if p.dir != "" || p.temporary {
		if r.kept, err = openCodeFolder(ctx, cfg, p); err != nil {
			return nil, unavailable(err)
		}
		if r.cache, err = wazero.NewCompilationCacheWithDir(r.kept.dir); err != nil {
			return nil, errors.Join(unavailable(err), r.kept.close())
		}
		rc = rc.WithCompilationCache(r.cache)
	}
	defer func() {
		if failed := recover(); failed != nil {
			err = unavailable(fmt.Errorf("the compiler has failed: %v", failed))
		}
		if err != nil {
			_ = r.Close() // the first error is the one to return
			r = nil
		}
	}()
	r.Runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	return r, cfg.Offer(ctx, r.Runtime)
}

// Engine returns the engine that runs modules.
func (r *Runtime) Engine() Engine { return r.engine }

// Close closes all instances and frees the resources of the runtime.
func (r *Runtime) Close() error {
	ctx := context.Background()
	var all []error
	if r.Runtime != nil {
		all = append(all, r.Runtime.Close(ctx))
	}
	if r.cache != nil {
		all = append(all, r.cache.Close(ctx))
	}
	if r.kept != nil {
		all = append(all, r.kept.close())
	}
	return errors.Join(all...)
}

// Compile compiles a module with its meter. The configured compiler makes the machine code, which is
// cached; the rest of the work here is linear in the size of the module.
func (r *Runtime) Compile(ctx context.Context, metered []byte) (_ wazero.CompiledModule, err error) {
	if r.kept != nil {
		if err := r.kept.provide(ctx, metered); err != nil {
			return nil, err
		}
	}
	defer func() {
		if failed := recover(); failed != nil {
			err = fmt.Errorf("the %s has failed on it: %v", r.engine, failed)
		}
	}()
	compiled, err := r.CompileModule(ctx, metered)
	if err != nil {
		return nil, storageError(err)
	}
	return compiled, nil
}

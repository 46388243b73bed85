package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Engine is what runs policies.
type Engine string

// Engines. Policies mean the same in both, and cost the same fuel.
const (
	Compiled    Engine = "compiler"    // machine code, made when a module is loaded
	Interpreted Engine = "interpreter" // slower, by a factor of ten and more
)

// Compiler compiles a metered module into an empty folder, as [CompileInto] does, where
// the time and the memory that takes are bounded: a process of its own. It has ended
// everything it began when it returns. The error says what is wrong with the module, as
// its author or an operator reads it; one that is [ErrUnavailable] says that compiling
// is not possible here, whatever the module.
type Compiler func(ctx context.Context, dir string, module []byte) error

// ErrUnavailable says that no module can be compiled, or kept, in this place: the folder
// cannot be written to, or a process cannot be started. It is no fault of a module.
var ErrUnavailable = errors.New("policies cannot be compiled here")

// unavailable makes an error one that is [ErrUnavailable].
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// CompileInto compiles a metered module in this process, for as long and with as much
// memory as it takes, and leaves the machine code in a folder. It is what a [Compiler]
// does in a process of its own. The error is [ErrUnavailable], or what is wrong with the
// module.
func CompileInto(ctx context.Context, dir string, module []byte) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return unavailable(err)
	}
	defer cache.Close(ctx)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the compiler has failed on it: %v", r)
		}
	}()
	runtime := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(Compiled).WithCompilationCache(cache))
	defer runtime.Close(ctx)
	_, err = runtime.CompileModule(ctx, module)
	return storageError(err)
}

// storageError marks errors of files and of what is in them as [ErrUnavailable].
func storageError(err error) error {
	if err == nil {
		return nil
	}
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	_, call := errors.AsType[*os.SyscallError](err)
	if path || link || call || strings.HasPrefix(err.Error(), "compilationcache:") {
		return unavailable(err)
	}
	return err
}

func runtimeConfig(kind Engine) wazero.RuntimeConfig {
	rc := wazero.NewRuntimeConfigCompiler()
	if kind == Interpreted {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	return rc.WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(manifest.MaxMemoryMiB * pagesPerMiB).
		WithMemoryCapacityFromMax(true) // growing must not copy
}

// place is a way to run policies, and where their machine code is kept.
type place struct {
	engine    Engine
	dir       string // empty: nothing is kept
	temporary bool   // dir is made, and removed at the end
}

// places returns the ways to run policies, the best first.
func (cfg Config) places() []place {
	if err := machineCodeMissing(); err != nil {
		cfg.Logger.Warn("policies are interpreted, which takes longer", "cause", err)
		return []place{{engine: Interpreted}}
	}
	var all []place
	if cfg.CacheDir != "" {
		all = append(all, place{engine: Compiled, dir: cfg.CacheDir})
	}
	if cfg.Compile != nil {
		all = append(all, place{engine: Compiled, temporary: true})
	} else {
		all = append(all, place{engine: Compiled})
	}
	return append(all, place{engine: Interpreted})
}

// openEngine opens an engine in the first place where it can be used. What use returns is
// final unless it is [ErrUnavailable].
func openEngine(ctx context.Context, cfg Config, guests int, use func(*engine) error) (*engine, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var failed error
	for _, p := range cfg.places() {
		if failed != nil {
			cfg.Logger.Warn(p.consequence(), "cause", failed)
		}
		e, err := openEngineIn(ctx, cfg, p, guests)
		if err == nil {
			err = use(e)
			if err == nil {
				e.kept.sweep()
				return e, nil
			}
			_ = e.close() // what went wrong first is what counts
		}
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return nil, err
		}
		failed = err
	}
	return nil, failed
}

// consequence says what it means that policies run in this place, since the one before it
// cannot be used.
func (p place) consequence() string {
	switch {
	case p.engine == Interpreted:
		return "policies are interpreted, which takes longer"
	case p.temporary:
		return "compiled policies are kept until the process ends only"
	}
	return "compiled policies are not kept"
}

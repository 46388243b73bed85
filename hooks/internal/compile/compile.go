// Package compile compiles WebAssembly modules: to machine code, within limits and with a cache, or for
// an interpreter.
//
// It promises to run machine code only if it is the code that was compiled, and to work everywhere:
// without machine code, with an unusable folder or without processes it falls back to another setup,
// and the log says so.
package compile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Engine is the kind of engine that runs policies.
type Engine string

// Engines. Policies mean the same in both, and cost the same fuel.
const (
	Compiled    Engine = "compiler"    // machine code, made when a module is loaded
	Interpreted Engine = "interpreter" // slower, by a factor of ten and more
)

// Compiler compiles a metered module into an empty folder, as [Into] does, but in a process of its
// own, with limits on time and memory. It has ended everything it began when it returns. The error is
// a fault of the module, written for its author and for operators, or [ErrUnavailable]: no module can
// be compiled here.
type Compiler func(ctx context.Context, dir string, module []byte) error

// MaxModule bounds a module, in bytes.
const MaxModule = 64 << 20

// maxPages bounds the memory of an instance, whatever its module says.
const maxPages = manifest.MaxMemoryMiB << 20 / 65536

// EmptyModule is a policy that allows everything and reads nothing: its cost is that of a call.
var EmptyModule = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7f" + // type 0: () -> i32
	"\x03\x02\x01\x00" + // one function, of type 0
	"\x05\x03\x01\x00\x00" + // a memory of no pages
	"\x07\x12\x02\x05check\x00\x00\x06memory\x02\x00" +
	"\x0a\x06\x01\x04\x00\x41\x00\x0b") // i32.const 0

// ErrUnavailable says that no module can be compiled or cached here: the folder is not writable, or a
// process cannot be started. It is no fault of a module.
var ErrUnavailable = errors.New("policies cannot be compiled here")

// unavailable marks an error as [ErrUnavailable].
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// Into compiles a metered module in this process, without limits on time and memory, and writes the
// machine code to a folder. A [Compiler] does the same in a process of its own. The error is
// [ErrUnavailable], or a fault of the module.
func Into(ctx context.Context, dir string, module []byte) (err error) {
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

// storageError marks errors of files and of their contents as [ErrUnavailable].
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
		WithMemoryLimitPages(maxPages).
		WithMemoryCapacityFromMax(true) // growing must not copy
}

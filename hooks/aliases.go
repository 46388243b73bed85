package hooks

import (
	"context"

	"github.com/octostore/octostore/hooks/internal/compile"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Engine is the kind of engine that runs policies.
type Engine = compile.Engine

// Engines. Policies mean the same in both, and cost the same fuel.
const (
	Compiled    = compile.Compiled    // machine code, made when a module is loaded
	Interpreted = compile.Interpreted // slower, by a factor of ten and more
)

// Compiler compiles a metered module into an empty folder, as [CompileInto] does, but in a process of
// its own, with limits on time and memory.
type Compiler = compile.Compiler

// ErrUnavailable says that no module can be compiled or cached here: the folder is not writable, or a
// process cannot be started. It is no fault of a module.
var ErrUnavailable = compile.ErrUnavailable

// EmptyModule is a policy that allows everything and reads nothing: its cost is that of a call.
var EmptyModule = compile.EmptyModule

// CompileInto compiles a metered module in this process, without limits on time and memory, and writes
// the machine code to a folder. A [Compiler] does the same in a process of its own. The error is
// [ErrUnavailable], or a fault of the module.
func CompileInto(ctx context.Context, dir string, module []byte) error {
	return compile.Into(ctx, dir, module)
}

// Policy is one entry of a manifest, complete with defaults.
type Policy = manifest.Policy

// Defaults and bounds of a policy. There is no unlimited.
const (
	DefaultFuel      = manifest.DefaultFuel
	MinFuel          = manifest.MinFuel
	MaxFuel          = manifest.MaxFuel
	DefaultMemoryMiB = manifest.DefaultMemoryMiB
	MaxMemoryMiB     = manifest.MaxMemoryMiB
	FirstCallFuel    = manifest.FirstCallFuel
)

// CheckReads checks a list of prefixes of lock names, as a manifest has it in "reads".
func CheckReads(prefixes []string) error { return manifest.CheckReads(prefixes) }

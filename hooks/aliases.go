package hooks

import (
	"context"

	"github.com/octostore/octostore/hooks/internal/compile"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Engine is what runs policies.
type Engine = compile.Engine

// Engines. Policies mean the same in both, and cost the same fuel.
const (
	Compiled    = compile.Compiled    // machine code, made when a module is loaded
	Interpreted = compile.Interpreted // slower, by a factor of ten and more
)

// Compiler compiles a metered module into an empty folder, as [CompileInto] does, where
// the time and the memory that takes are bounded: a process of its own.
type Compiler = compile.Compiler

// ErrUnavailable says that no module can be compiled, or kept, in this place: the folder
// cannot be written to, or a process cannot be started. It is no fault of a module.
var ErrUnavailable = compile.ErrUnavailable

// EmptyModule is a policy that allows everything and looks at nothing: what it costs
// is what asking costs.
var EmptyModule = compile.EmptyModule

// CompileInto compiles a metered module in this process, for as long and with as much
// memory as it takes, and leaves the machine code in a folder. It is what a [Compiler]
// does in a process of its own. The error is [ErrUnavailable], or what is wrong with the
// module.
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

// CheckReads returns what is wrong with a list of beginnings of lock names, as a manifest
// has it in "reads"; nil: nothing.
func CheckReads(prefixes []string) error { return manifest.CheckReads(prefixes) }

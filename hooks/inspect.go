package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Inspection is what can be said of a module without running any of it.
type Inspection struct {
	Digest  string // SHA-256, in hex
	Size    int    // bytes
	Metered int    // bytes with its meter; 0: it is refused
	// Exports and Imports are its functions. They are missing if the module is not valid.
	Exports, Imports []Function
	// MemoryKiB is the memory it starts with; 0: it exports none.
	MemoryKiB int
	// Refused is everything a server would refuse it for, as far as that shows without
	// running it; empty: nothing.
	Refused []string
}

// Function is an import or an export of a module.
type Function struct {
	Module  string // of an import
	Name    string
	Type    string // "(i32 i32) -> (i64)"
	Unknown bool   // of an import: it is not offered, or with another type
}

// Inspect looks at a module that would be given so much memory. It returns an error
// only if there can be no engine; what is wrong with the module is in Refused.
func Inspect(ctx context.Context, module []byte, cfg TrialConfig) (Inspection, error) {
	if cfg.MemoryMiB == 0 {
		cfg.MemoryMiB = manifest.DefaultMemoryMiB
	}
	in := Inspection{Digest: digestOf(module), Size: len(module)}
	if err := guest.TextHint(module); err != nil {
		in.Refused = append(in.Refused, err.Error())
		return in, nil
	}
	metered, err := instrument(module, meterConfig(cfg.MemoryMiB))
	if err != nil {
		in.Refused = append(in.Refused, err.Error())
		in.listAsItIs(ctx, module)
		return in, nil
	}
	e, err := openEngine(ctx, Config{CacheDir: cfg.CacheDir, Compile: cfg.Compile}, 1, func(e *engine) error {
		return in.compile(ctx, e, metered)
	})
	if err != nil {
		return in, err
	}
	return in, e.close()
}

// compile compiles a metered module and lists what it has. What is wrong with the module
// is noted; an error says that none can be compiled.
func (in *Inspection) compile(ctx context.Context, e *engine, metered []byte) error {
	compiled, err := e.runtime.Compile(ctx, metered)
	switch {
	case errors.Is(err, ErrUnavailable) || ctx.Err() != nil:
		return err
	case err != nil:
		in.Refused = append(in.Refused, err.Error())
		return nil
	}
	defer compiled.Close(ctx)
	in.Metered = len(metered)
	in.list(compiled)
	if err := guest.CheckModule(compiled, guest.Servable(compiled)); err != nil && len(in.Refused) == 0 {
		in.Refused = append(in.Refused, err.Error())
	}
	return nil
}

// listAsItIs lists what a module has that cannot be metered. It is not compiled for
// this machine.
func (in *Inspection) listAsItIs(ctx context.Context, module []byte) {
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return // it is not valid, and why it is refused is known
	}
	in.list(compiled)
}

func (in *Inspection) list(m wazero.CompiledModule) {
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		fault := guest.CheckImport(module, name, f)
		if fault != nil {
			in.Refused = append(in.Refused, fault.Error())
		}
		in.Imports = append(in.Imports, Function{Module: guest.Shown(module), Name: guest.Shown(name), Type: typeOf(f), Unknown: fault != nil})
	}
	exported := m.ExportedFunctions()
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		in.Exports = append(in.Exports, Function{Name: guest.Shown(name), Type: typeOf(exported[name])})
	}
	if memory := m.ExportedMemories()[abi.ExportMemory]; memory != nil {
		in.MemoryKiB = int(memory.Min()) * 64
	}
}

func typeOf(f api.FunctionDefinition) string {
	words := func(types []api.ValueType) string {
		var all []string
		for _, t := range types {
			all = append(all, api.ValueTypeName(t))
		}
		return strings.Join(all, " ")
	}
	return fmt.Sprintf("(%s) -> (%s)", words(f.ParamTypes()), words(f.ResultTypes()))
}

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

// Inspection describes a module without running it.
type Inspection struct {
	Digest  string // SHA-256, in hex
	Size    int    // bytes
	Metered int    // bytes with its meter; 0: the meter refuses it
	// Exports and Imports are its functions. They are missing if the module is not valid.
	Exports, Imports []Function
	// MemoryKiB is the memory it starts with; 0: it exports none.
	MemoryKiB int
	// Refused lists the reasons for which a server would refuse it, as far as they show without
	// running it.
	Refused []string
}

// Function is an import or an export of a module.
type Function struct {
	Module  string // of an import
	Name    string
	Type    string // "(i32 i32) -> (i64)"
	Unknown bool   // of an import: it does not exist, or has another type
}

// Inspect describes a module. It returns an error only if there is no engine; faults of the module are
// in Refused.
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

// compile compiles a metered module and lists its functions. It notes faults of the module; an error
// means that no module can be compiled.
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

// listAsItIs lists the functions of a module that the meter refuses.
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

package guest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Functions returns all host functions, by module.
func Functions() map[string][]HostFunction {
	return map[string][]HostFunction{abi.Module: offered, wasiModule: wasi}
}

// Offer adds the host functions to a runtime.
func Offer(ctx context.Context, rt wazero.Runtime) error {
	for module, functions := range Functions() {
		b := rt.NewHostModuleBuilder(module)
		for _, f := range functions {
			b = b.NewFunctionBuilder().WithGoModuleFunction(f.function(), f.ParamTypes(), f.ResultTypes()).Export(f.Name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("offer %s: %w", module, err)
		}
	}
	return nil
}

// Servable returns a hook of each kind for which a module has the export, or acquire if it has none.
func Servable(m wazero.CompiledModule) (hooks []core.Hook) {
	exported := m.ExportedFunctions()
	if exported[abi.ExportObserve] != nil {
		hooks = append(hooks, manifest.HookObserve)
	}
	if exported[abi.ExportCheck] != nil || hooks == nil {
		hooks = append(hooks, core.HookAcquire)
	}
	return hooks
}

// CheckModule checks the imports and exports of a module for these hooks.
func CheckModule(m wazero.CompiledModule, hooks []core.Hook) error {
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		if err := CheckImport(module, name, f); err != nil {
			return err
		}
	}
	for _, mem := range m.ImportedMemories() {
		module, name, _ := mem.Import()
		return fmt.Errorf("it imports the memory %s.%s; it has to have its own", Shown(module), Shown(name))
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
	signatures := map[string]string{
		abi.ExportCheck: "i32", abi.ExportConfigure: "i32", abi.ExportObserve: "i32", abi.ExportInitialize: "",
	}
	for name, results := range signatures {
		f := exported[name]
		if f != nil && (len(f.ParamTypes()) > 0 || !slices.Equal(f.ResultTypes(), types(results))) {
			return fmt.Errorf("its export %s has the wrong type; want () -> (%s)", name, results)
		}
	}
	return nil
}

// CheckImport checks a function that a module imports.
func CheckImport(module, name string, f api.FunctionDefinition) error {
	offer := Functions()[module]
	i := slices.IndexFunc(offer, func(h HostFunction) bool { return h.Name == name })
	if i < 0 {
		return fmt.Errorf("it imports %s.%s, which is not offered", Shown(module), Shown(name))
	}
	if !slices.Equal(f.ParamTypes(), offer[i].ParamTypes()) || !slices.Equal(f.ResultTypes(), offer[i].ResultTypes()) {
		return fmt.Errorf("it imports %s.%s with the wrong type; want (%s) -> (%s)", module, name, offer[i].Params, offer[i].Results)
	}
	return nil
}

// Shown makes a name in a module printable.
func Shown(name string) string { return Printable([]byte(name), abi.MaxKey) }

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

// ParamTypes are the types of the parameters of a function.
func (h HostFunction) ParamTypes() []api.ValueType { return types(h.Params) }

// ResultTypes are the types of its results.
func (h HostFunction) ResultTypes() []api.ValueType { return types(h.Results) }

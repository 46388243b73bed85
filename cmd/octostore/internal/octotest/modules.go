package octotest

import (
	"os"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// The texts of most modules, from address 0 on.
const moduleTexts = "ttl_msa lease of more than an hour is not givenqueue.length"

var (
	getI64 = wasmtest.Import{Module: "octostore_v1", Name: "get_i64", Type: "i32 i32 -> i64"}
	deny   = wasmtest.Import{Module: "octostore_v1", Name: "deny", Type: "i32 i32"}
	logs   = wasmtest.Import{Module: "octostore_v1", Name: "log", Type: "i32 i32 i32"}
)

const denyLong = `i32.const 0 i32.const 6 call $get_i64 i64.const 3600000 i64.gt_s
	if i32.const 6 i32.const 41 call $deny i32.const 1 return end i32.const 0`

// modules are policies for tests, by name.
var modules = map[string]wasmtest.Module{
	// The policy of hooks/abi/README.md.
	"hour": policyOf("check", denyLong),
	// It denies every second request: it keeps something between them.
	"counter": policyOf("check", "global.get 0 i64.const 1 i64.xor global.set 0 global.get 0 i32.wrap_i64 i32.eqz"),
	// It trusts no configuration.
	"picky": policyOf("configure", "i32.const 6 i32.const 41 call $deny i32.const 1", "check", "i32.const 0"),
	// It trusts every configuration.
	"trusting": policyOf("configure", "i32.const 0", "check", "i32.const 0"),
	// It wants what is not offered.
	"greedy": {
		Imports: []wasmtest.Import{{Module: "wasi_unstable", Name: "path_open"}, {Module: "env", Name: "socket"}},
		Pages:   1, Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0"}},
	},
	"crowded": policyOf("check", "i32.const 47 i32.const 12 call $get_i64 i64.const 5 i64.gt_s"),
	"closed":  policyOf("check", "i32.const 1"),
	// It wants to be given leases of more than an hour again.
	"watcher": policyOf("observe", denyLong),
	"endless": policyOf("check", "loop br 0 end i32.const 0"),
	// It needs some twelve million units of fuel.
	"hungry": policyOf(
		"check",
		"i64.const 0 global.set 0 loop global.get 0 i64.const 1 i64.add global.set 0 global.get 0 i64.const 1300000 i64.lt_s br_if 0 end i32.const 0",
	),
	// Short leases go to the front, those of more than ten minutes to the back, and about
	// others it says nothing.
	"lane": {
		Imports: []wasmtest.Import{getI64, {Module: "octostore_v1", Name: "cap", Type: "i32 i32 i64"}},
		Pages:   1, Data: []wasmtest.Data{{Text: "ttl_mspriority"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: `
			i32.const 0 i32.const 6 call $get_i64 i64.const 60000 i64.le_s
			if i32.const 6 i32.const 8 i64.const 1 call $cap end
			i32.const 0 i32.const 6 call $get_i64 i64.const 600000 i64.gt_s
			if i32.const 6 i32.const 8 i64.const -1 call $cap end
			i32.const 0`}},
	},
	// It denies everything, with a reason.
	"holidays": {
		Imports: []wasmtest.Import{deny}, Pages: 1, Data: []wasmtest.Data{{Text: "closed for the holidays"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0 i32.const 23 call $deny i32.const 1"}},
	},
	// It gives leases of at most fifteen seconds.
	"brief": {
		Imports: []wasmtest.Import{{Module: "octostore_v1", Name: "cap", Type: "i32 i32 i64"}}, Pages: 1, Data: []wasmtest.Data{{Text: "ttl_ms"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0 i32.const 6 i64.const 15000 call $cap i32.const 0"}},
	},
	"chatty": policyOf("check", "i32.const 1 i32.const 6 i32.const 7 call $log i32.const 0"),
}

// policyOf is a module with functions by name and code.
func policyOf(funcs ...string) wasmtest.Module {
	m := wasmtest.Module{
		Imports: []wasmtest.Import{getI64, deny, logs}, Pages: 1, Globals: 1, Data: []wasmtest.Data{{Text: moduleTexts}},
	}
	for i := 0; i < len(funcs); i += 2 {
		m.Funcs = append(m.Funcs, wasmtest.Func{Name: funcs[i], Type: "-> i32", Code: funcs[i+1]})
	}
	return m
}

// Module returns a policy by name.
func Module(name string) []byte {
	m, known := modules[name]
	if !known {
		panic("octotest: there is no module " + name)
	}
	return wasmtest.Assemble(m)
}

// WriteModule writes a policy to a file.
func WriteModule(t *testing.T, path, name string) {
	t.Helper()
	if err := os.WriteFile(path, Module(name), 0o600); err != nil {
		t.Fatal(err)
	}
}

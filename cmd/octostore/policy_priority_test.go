package main

import "github.com/octostore/octostore/hooks/wasmtest"

// Short leases go to the front, those of more than an hour to the back, and about others
// the policy says nothing.
func init() {
	testModules["lane"] = wasmtest.Module{
		Imports: []wasmtest.Import{getI64, {Module: "octostore_v1", Name: "cap", Type: "i32 i32 i64"}},
		Pages:   1, Data: []wasmtest.Data{{Text: "ttl_mspriority"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: `
			i32.const 0 i32.const 6 call $get_i64 i64.const 60000 i64.le_s
			if i32.const 6 i32.const 8 i64.const 1 call $cap end
			i32.const 0 i32.const 6 call $get_i64 i64.const 3600000 i64.gt_s
			if i32.const 6 i32.const 8 i64.const -1 call $cap end
			i32.const 0`}},
	}
}

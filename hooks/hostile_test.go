package hooks

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// The start section runs before anything else of an instance; what it has the host do
// costs the same as later.
func TestAStartSectionPaysForWhatTheHostDoes(t *testing.T) {
	start := 1
	g := guestOf(
		wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"},
		// Each turn copies 60,000 bytes, for the price of a few instructions if the host is free.
		wasmtest.Func{Name: "_s", Code: "loop " + at("config") + "i32.const 200 i32.const 60000 call $get drop" +
			" global.get 0 i64.const 1 i64.add global.set 0 global.get 0 i64.const 50000 i64.lt_s br_if 0 end"},
	)
	g.Start = &start
	h := newHouse(t)
	h.write("p.wasm", wasmtest.Assemble(g))
	_, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p", `"config":{"x":"`+strings.Repeat("x", 60_000)+`"}`))})
	if err == nil || !strings.Contains(err.Error(), "out of fuel") {
		t.Errorf("got %v, want it out of fuel", err)
	}
}

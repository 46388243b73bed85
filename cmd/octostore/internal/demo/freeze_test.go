package demo

import (
	"fmt"
	"testing"

	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// The bytes of the module match its text.
func TestFreezeIsWhatItsTextSays(t *testing.T) {
	want := wasmtest.Assemble(wasmtest.Module{
		Imports: []wasmtest.Import{{Module: abi.Module, Name: abi.ImportDeny, Type: "i32 i32"}},
		Funcs: []wasmtest.Func{{Name: abi.ExportCheck, Type: "-> i32", Code: fmt.Sprintf(
			"i32.const 0 i32.const %d call $deny i32.const %d", len(frozen), abi.Deny)}},
		Pages: 1,
		Data:  []wasmtest.Data{{Text: frozen}},
	})
	if freeze != string(want) {
		t.Errorf("got %q, want %q", freeze, want)
	}
}

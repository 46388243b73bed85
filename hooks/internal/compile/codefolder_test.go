package compile

import "testing"

// Code of another processor, or of another runtime, is not found by the key of this one.
func TestCodeFolderTellsMachinesApart(t *testing.T) {
	a, b := codeFolder{dir: "d", machine: "wazero-1/aa"}, codeFolder{dir: "d", machine: "wazero-1/bb"}
	again, module, other := a, EmptyModule, EmptyModule[:8]
	if a.recordOf(module) == b.recordOf(module) || a.recordOf(module) == a.recordOf(other) || a.recordOf(module) != again.recordOf(module) {
		t.Error("the key is not that of the module and the machine")
	}
}

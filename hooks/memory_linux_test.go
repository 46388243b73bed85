package hooks

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// An instance that trapped is thrown away, and another one is made for the next request.
// Its memory must be freed at once, not by the garbage collector.
func TestMemoryOfATrappedInstanceIsGivenBack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const mib = 32
	g := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: fmt.Sprintf("i32.const 0 i32.const 1 i32.const %d memory.fill unreachable", mib<<20)})
	g.Pages = mib * pagesPerMiB
	h := newHouse(t)
	h.write("p.wasm", wasmtest.Assemble(g))
	host := h.open(entry("p", fmt.Sprintf(`"memory_mib":%d`, mib)))
	before := resident(t)
	for range 8 {
		if got := said(host.Judge(t.Context(), question("a"))); got != "p error; error of p" {
			t.Fatal(got)
		}
	}
	if more := resident(t) - before; more > 2*mib<<20 {
		t.Errorf("there are %d MiB more after 8 instances of %d MiB", more>>20, mib)
	}
}

// resident returns how many bytes of memory the process has.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var all, pages int
	if _, err := fmt.Fscan(bytes.NewReader(text), &all, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

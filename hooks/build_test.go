package hooks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built are the policies in Go that were built so far, by their folder and flags.
var built struct {
	mu      sync.Mutex
	modules map[string][]byte
}

// buildGo builds a policy in Go, once.
func buildGo(tb testing.TB, dir string, flags ...string) []byte {
	tb.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	key := dir + " " + strings.Join(flags, " ")
	if module, there := built.modules[key]; there {
		return module
	}
	path := filepath.Join(tb.TempDir(), "p.wasm")
	args := append([]string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path}, flags...)
	build := exec.Command("go", append(args, dir)...)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	module, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if built.modules == nil {
		built.modules = map[string][]byte{}
	}
	built.modules[key] = module
	return module
}

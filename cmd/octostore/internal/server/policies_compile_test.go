package server

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// slowModule is a policy that allows everything and takes a compiler seconds: it has
// nothing unusual but its size.
var slowModule = sync.OnceValue(func() []byte {
	m := wasmtest.Module{Pages: 1, Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0"}}}
	code := "local.get 0 " + strings.Repeat("local.get 0 i32.mul i32.const 3 i32.add ", 300)
	for i := range 6000 {
		m.Funcs = append(m.Funcs, wasmtest.Func{Name: fmt.Sprintf("_%d", i), Type: "i32 -> i32", Code: code})
	}
	return wasmtest.Assemble(m)
})

// compiling reports whether a compilation into a folder is under way.
func compiling(folder string) bool {
	found, _ := filepath.Glob(filepath.Join(folder, "new-*", "wazero-*"))
	return len(found) > 0
}

func slowPolicy(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "slow.wasm"), slowModule(), 0o600); err != nil {
		t.Fatal(err)
	}
}

const slowManifest = `{"policies":[{"name":"slow","module":"slow.wasm","match":["**"]}]}`

// A server that is asked to stop does not wait for a module that is being compiled for a
// reload, and leaves no process behind.
func TestCompileOfAReloadEndsWithTheServer(t *testing.T) {
	needCompiler(t)
	dir := t.TempDir()
	s := ruledServer(t, dir, onShelf(&shelf{Store: memory.New()}), closedProd, map[string][]byte{"closed": closed()})
	slowPolicy(t, dir)
	withPolicies(t, dir, slowManifest)
	if err := hangUp(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "octostore.db-policies")
	octotest.WaitUntil(t, "the module is being compiled", func() bool { return compiling(folder) })
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/acquire"), 403, "closed for the holidays") // by the old set
	begun := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > stopTime || compiling(folder) {
		t.Errorf("it took %s, and it is still compiled: %v", took, compiling(folder))
	}
}

// SIGTERM ends a server that has not started yet, and the inspection of a module.
func TestCompileEndsWithSIGTERM(t *testing.T) {
	needCompiler(t)
	for _, test := range []struct {
		name   string
		args   []string
		folder string
	}{
		{"a start", []string{"octostore", "serve"}, "octostore.db-policies"},
		{"an inspection", []string{"octostore", "policy", "inspect", "slow.wasm"}, "cache/octostore/policies"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			slowPolicy(t, dir)
			withPolicies(t, dir, slowManifest)
			cmd := &exec.Cmd{Path: octotest.Binary(t), Args: test.args, Dir: dir}
			cmd.Env = []string{"OCTOSTORE_ADDR=127.0.0.1:0", "OCTOSTORE_POLICIES=policies.json", "XDG_CACHE_HOME=" + filepath.Join(dir, "cache")}
			var said octotest.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // ended already: fine
			folder := filepath.Join(dir, test.folder)
			octotest.WaitUntil(t, "the module is being compiled", func() bool {
				select {
				case err := <-done:
					t.Fatalf("it has ended before, %v, and said\n%s", err, said.String())
				default:
				}
				return compiling(folder)
			})
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if serves := test.args[1] == "serve"; serves != (err == nil) {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(octotest.Patient):
				t.Fatal("it goes on")
			}
			if compiling(folder) {
				t.Error("it is still compiled")
			}
		})
	}
}

// A server keeps compiled policies beside its database, and the next start finds them.
func TestPolicyCacheIsBesideTheDatabase(t *testing.T) {
	needCompiler(t)
	dir := t.TempDir()
	folder := filepath.Join(dir, "octostore.db-policies")
	var made []os.FileInfo
	for range 2 {
		s := ruledServer(t, dir, onShelf(&shelf{Store: memory.New()}), closedProd, map[string][]byte{"closed": closed()})
		octotest.Expect(t, s.call("GET", "/v1/policies"), 200, `"engine":"compiler"`)
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		found, _ := filepath.Glob(filepath.Join(folder, "wazero-*", "*"))
		if len(found) != 1 {
			t.Fatalf("there is %v", found)
		}
		info, err := os.Stat(found[0])
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, info)
	}
	if !made[0].ModTime().Equal(made[1].ModTime()) {
		t.Error("the second start has compiled it again")
	}
	cfg := withPolicies(t, dir, closedProd)
	cfg.PolicyCache = "none"
	if got := cfg.PolicyCacheDir(); got != "" {
		t.Errorf("none is %q", got)
	}
	if cfg.PolicyCache = "elsewhere"; cfg.PolicyCacheDir() != "elsewhere" {
		t.Errorf("elsewhere is %q", cfg.PolicyCacheDir())
	}
}

// A start that a module is too much for says which, and ends.
func TestCompileThatFailsIsAClearErrorOfTheStart(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "closed.wasm"), []byte("\x00asm\x01\x00\x00\x00\x0b"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openPolicies(t.Context(), withPolicies(t, dir, closedProd), nil, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "policy freeze: module "+filepath.Join(dir, "closed.wasm")) {
		t.Errorf("got %v", err)
	}
}

func needCompiler(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("SKIP: there is no compiler for " + runtime.GOARCH)
	}
}

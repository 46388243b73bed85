package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// withoutExecutable is the command as it runs where a service manager forbids executable
// memory, as systemd does with MemoryDenyWriteExecute.
const withoutExecutable = "octostore-without-executable-memory"

const (
	prSetMDWE          = 65
	prGetMDWE          = 66
	mdweRefuseExecGain = 1
)

func init() {
	commands[withoutExecutable] = func() {
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetMDWE, mdweRefuseExecGain, 0, 0, 0, 0); errno != 0 {
			panic(errno)
		}
		main()
	}
}

// Where executable memory is forbidden the server interprets its policies and says so, and
// so do the doctor and the commands for authors.
func TestInterpreterIsUsedAndSaidWhereExecutableMemoryIsForbidden(t *testing.T) {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prGetMDWE, 0, 0, 0, 0, 0); errno == syscall.EINVAL || errno == syscall.ENOSYS {
		t.Skip("SKIP: this kernel cannot forbid executable memory; Linux 6.3 can")
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"closed.wasm":   closedForHolidays(),
		"policies.json": []byte(`{"policies":[{"name":"freeze","module":"closed.wasm","match":["prod/**"]}]}`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{"OCTOSTORE_POLICIES=policies.json", "OCTOSTORE_ADDR=127.0.0.1:0", "XDG_CACHE_HOME=" + t.TempDir()}
	run := func(args ...string) string {
		out, err := (&exec.Cmd{Path: self, Args: append([]string{withoutExecutable}, args...), Dir: dir, Env: environ}).CombinedOutput()
		if err != nil && args[0] != "doctor" {
			t.Errorf("%v: %v", args, err)
		}
		return string(out)
	}
	if out := run("doctor"); !strings.Contains(out, "warn  policies     they are interpreted") || !strings.Contains(out, "freeze (enforce") {
		t.Errorf("the doctor says\n%s", out)
	}
	if out := run("policy", "inspect", "closed.wasm"); !strings.Contains(out, "loads    yes") {
		t.Errorf("the inspection says\n%s", out)
	}
	if out := run("policy", "run", "closed.wasm"); !strings.Contains(out, "closed for the holidays") {
		t.Errorf("the policy says\n%s", out)
	}
	p, err := octotest.StartCommand(&exec.Cmd{Path: self, Args: []string{withoutExecutable, "serve"}, Dir: dir, Env: environ})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/prod/db/acquire"), 403, "closed for the holidays")
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/v1/policies"), 200, `"engine":"interpreter"`)
	if _, err := p.WaitLog("policies are interpreted, which takes longer", octotest.Patient); err != nil {
		t.Error(err)
	}
	environ = append(environ, "OCTOSTORE_URL=http://"+p.Addr)
	if out := run("policy", "list"); !strings.Contains(out, "The policies are interpreted") {
		t.Errorf("the list says\n%s", out)
	}
}

// closedForHolidays is a policy that denies everything with a reason.
func closedForHolidays() []byte {
	return wasmtest.Assemble(wasmtest.Module{
		Imports: []wasmtest.Import{{Module: "octostore_v1", Name: "deny", Type: "i32 i32"}},
		Pages:   1, Data: []wasmtest.Data{{Text: "closed for the holidays"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0 i32.const 23 call $deny i32.const 1"}},
	})
}

//go:build linux || darwin || freebsd

package job

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestJobGetsTheSignals(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
		"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRun(t, "trap 'exit 9' "+name+`; echo $$ >leader
				sh -c "trap 'echo got >grandchild; exit' `+name+`; echo >ready; while :; do sleep 0.05; done"; exit 1`)
			r.wait(t, "ready")
			if err := r.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if got := r.end(t); got != (report{Code: 9}) {
				t.Errorf("its status is %+v", got)
			}
			r.wait(t, "grandchild")
		})
	}
}

// There is no moment after the command in which a signal ends the process that ran it: it may
// have something to give back.
func TestJobHandsSignalsOverAtItsEnd(t *testing.T) {
	t.Parallel()
	for range 5 {
		if got := startRun(t, "exit 3", "-take-signals").end(t); got != (report{Code: 203}) {
			t.Errorf("its status is %+v", got)
		}
	}
}

func TestJobInheritsItsInputAndOutput(t *testing.T) {
	t.Parallel()
	const bytes = 20_000_000
	out, err := exec.Command("sh", "-c", `head -c `+strconv.Itoa(bytes)+` /dev/zero | "$0" wrap cat | wc -c`, os.Args[0]).Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != strconv.Itoa(bytes) {
		t.Errorf("%s bytes, %v", got, err)
	}
}

func TestJobBackgroundIsEnded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		left   int
	}{
		"nothing":                      {"true", 0},
		"a process":                    {"sleep 60 & echo $! >background; exit 3", 1},
		"one that ignores TERM":        {"(trap '' TERM; sleep 60) & echo $! >background; exit 3", 1},
		"one that ends soon":           {"(sleep 0.3; echo last >late) & exit 3", 0},
		"a child of one that has left": {"(sleep 0.1 & exec setsid sleep 3) & exit 3", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r := startRun(t, test.script, "-kill-after", "500ms")
			got := r.end(t)
			if got.Left < test.left || got.Left > 2*test.left || got.Signal != 0 {
				t.Errorf("its status is %+v", got)
			}
			if test.left > 0 && !gone(r.pid(t, "background")) {
				t.Error("it is still there")
			}
			if strings.Contains(test.script, "late") && r.wait(t, "late") != "last" {
				t.Error("its last words are lost")
			}
			if test.left == 0 && time.Since(began) > 5*time.Second {
				t.Errorf("it took %s", time.Since(began))
			}
		})
	}
}

func TestFindSaysWhatAShellSays(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("plain", "x", 0o600)
	write("works", "#!/bin/sh\n", 0o700)
	t.Setenv("PATH", dir)
	for name, want := range map[string]error{
		"works":                          nil,
		filepath.Join(dir, "works"):      nil,
		"plain":                          ErrNotExecutable,
		filepath.Join(dir, "plain"):      ErrNotExecutable,
		dir:                              ErrNotExecutable,
		"missing":                        ErrNotFound,
		filepath.Join(dir, "missing"):    ErrNotFound,
		filepath.Join(dir, "works/more"): ErrNotExecutable,
		"":                               ErrNotFound,
	} {
		if _, err := Find(name); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
}

func TestJobStartsWhatAShellStarts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content, said string
		code          int
	}{
		"a script without a first line":  {"exit $(($1 + 2))\n", "", 5},
		"an interpreter that is missing": {"#!/no/such/interpreter\n", "command not found", 127},
		"no program":                     {"\x7fELF\x00\x01", "cannot be executed", 126},
	} {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte(test.content), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], wrapper, path, "3")
		said, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(said), test.said) {
			t.Errorf("%s: %d, %q", name, code, said)
		}
	}
}

//go:build unix

package runs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/runner"
	"github.com/octostore/octostore/transport/api"
)

// wrapped is octostore run as it runs.
type wrapped struct {
	cmd       *exec.Cmd
	out, errs octotest.Buffer
	tmp       string // its temporary files
	mark      string // in the environment of all its processes
	done      chan struct{}
}

// environ are the variables of a run of a test: nothing of the machine that runs it.
func environ(t *testing.T, url, tmp string, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "USER=alice", "TMPDIR=" + tmp,
		"OCTOSTORE_RUN_MARK=" + tmp, "OCTOSTORE_URL=" + url,
	}, more...)
}

// prepare returns octostore run, which is not started yet.
func prepare(t *testing.T, url string, more []string, args ...string) *wrapped {
	t.Helper()
	r := &wrapped{tmp: t.TempDir(), done: make(chan struct{})}
	r.mark = "OCTOSTORE_RUN_MARK=" + r.tmp
	r.cmd = exec.Command(octotest.Binary(t), append([]string{"run"}, args...)...)
	r.cmd.Env = environ(t, url, r.tmp, more...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	r.cmd.WaitDelay = octotest.Patient // a process that left the group may keep its output open
	return r
}

// begin starts it, and has it ended with the test.
func (r *wrapped) begin(t *testing.T) *wrapped {
	t.Helper()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // its outcome is in ProcessState
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // ended already: fine
		<-r.done
	})
	return r
}

// start starts octostore run with these arguments for a server.
func start(t *testing.T, p *octotest.Server, args ...string) *wrapped {
	t.Helper()
	return prepare(t, "http://"+p.Addr, nil, args...).begin(t)
}

// shell returns the arguments of a run of a script of the system's shell.
func shell(name, script string) []string { return []string{name, "--", "/bin/sh", "-c", script} }

// ends waits for the end with a status, and for words on its standard error.
func (r *wrapped) ends(t *testing.T, status int, said ...string) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * octotest.Patient):
		t.Fatalf("octostore run runs on:\n%s%s", r.out.String(), r.errs.String())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("octostore run ended with %s, want %d:\n%s%s", r.cmd.ProcessState, status, r.out.String(), r.errs.String())
	}
	r.saidAll(t, said...)
	if left, err := os.ReadDir(r.tmp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v %v", left, err)
	}
}

func (r *wrapped) saidAll(t *testing.T, said ...string) {
	t.Helper()
	for _, part := range said {
		if !strings.Contains(r.errs.String(), part) {
			t.Errorf("octostore run did not say %q:\n%s", part, r.errs.String())
		}
	}
}

// says waits until it has said something.
func (r *wrapped) says(t *testing.T, part string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("octostore run has said:\n%s", r.errs.String())
		}
	}()
	octotest.WaitUntil(t, "it says "+part, func() bool { return strings.Contains(r.errs.String(), part) })
}

// signal sends a signal to octostore run only.
func (r *wrapped) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// events returns what --json has written.
func (r *wrapped) events(t *testing.T) (all []runner.Event) {
	t.Helper()
	for text := range strings.Lines(r.errs.String()) {
		if !strings.HasPrefix(text, "{") {
			continue
		}
		var e runner.Event
		in := json.NewDecoder(strings.NewReader(text))
		in.DisallowUnknownFields()
		if err := in.Decode(&e); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		all = append(all, e)
	}
	return all
}

// kinds returns the kinds of events, each once if it is repeated.
func kinds(events []runner.Event) string {
	var all []string
	for _, e := range events {
		if len(all) == 0 || all[len(all)-1] != e.Event {
			all = append(all, e.Event)
		}
	}
	return strings.Join(all, " ")
}

// isThere reports whether a file is there.
func isThere(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

// runs waits until the command of a test has written this file.
func runs(t *testing.T, dir, file string) {
	t.Helper()
	octotest.WaitUntil(t, "the command runs", func() bool { return isThere(dir, file) })
}

// touch writes an empty file, for which a command waits.
func touch(t *testing.T, dir, file string) {
	t.Helper()
	writeFile(t, dir, file, "")
}

// writeFile writes a file of a test.
func writeFile(t *testing.T, dir, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// untilGo is a script that tells that it runs, and waits until it is told to go on.
const untilGo = "touch runs; until [ -e go ]; do sleep 0.05; done; "

// expectFree fails the test unless the lock becomes free.
func expectFree(t *testing.T, p *octotest.Server, name string) {
	t.Helper()
	octotest.WaitUntil(t, name+" is free", func() bool { return p.Look(name).State == api.Free })
}

// content returns the text of a file.
func content(t *testing.T, dir, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}

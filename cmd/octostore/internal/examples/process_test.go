//go:build unix

package examples_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// shortTTL is the ttl in scenarios that wait for renewals, at a third of it, or for the end.
const shortTTL = 12 * time.Second

var shortly = fmt.Sprintf("LOCK_TTL=%d", shortTTL/time.Second)

// process is an example as it runs.
type process struct {
	cmd       *exec.Cmd
	out, errs octotest.Buffer
	file      string // to which it appends fencing tokens while it has the lock
	done      chan struct{}
	ended     time.Time // valid when done
}

// start starts an example for a lock of the server at an address.
func start(t *testing.T, command []string, addr, name, seconds string, settings ...string) *process {
	t.Helper()
	dir := t.TempDir()
	r := &process{file: filepath.Join(dir, "file"), done: make(chan struct{})}
	path, err := exec.LookPath(command[0])
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(path, append(command[1:], name, r.file, seconds)...)
	r.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "OCTOSTORE_URL=http://" + addr,
		"LOCK_WAIT=120",
	}, settings...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // its outcome is in ProcessState
		r.ended = time.Now()
		close(r.done)
	}()
	t.Cleanup(r.kill)
	return r
}

// kill ends it and what it has started.
func (r *process) kill() {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // ended already: fine
	<-r.done
}

// ends waits for the end with a status.
func (r *process) ends(t *testing.T, status int, said ...string) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * octotest.Patient):
		t.Fatalf("it runs on:\n%s%s", r.out.String(), r.errs.String())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("it ended with %s, want %d:\n%s%s", r.cmd.ProcessState, status, r.out.String(), r.errs.String())
	}
	for _, part := range said {
		if !strings.Contains(r.errs.String(), part) {
			t.Errorf("it did not say %q:\n%s", part, r.errs.String())
		}
	}
}

// written returns the lines of its file.
func (r *process) written(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// works waits until it works, and returns the lease it works with.
func (r *process) works(t *testing.T, p *octotest.Server, name string) *api.Lease {
	t.Helper()
	octotest.WaitWithin(t, 2*octotest.Patient, "it works", func() bool { return len(r.written(t)) > 0 || isOver(r.done) })
	if isOver(r.done) {
		t.Fatalf("it has ended:\n%s%s", r.out.String(), r.errs.String())
	}
	l := leaseOf(t, p, name)
	if l.ConfirmMS != 0 {
		t.Errorf("it works with a lease that is not confirmed: %+v", l)
	}
	if token := fmt.Sprint(l.FencingToken); r.written(t)[0] != token || !strings.Contains(r.out.String(), token) {
		t.Errorf("it wrote %s and %q, the fencing token is %s", r.written(t)[0], r.out.String(), token)
	}
	return l
}

// waits waits until it is in the queue of a lock, and returns its place.
func (r *process) waits(t *testing.T, p *octotest.Server, name string) api.Waiter {
	t.Helper()
	octotest.WaitWithin(t, 2*octotest.Patient, "it waits", func() bool { return p.Look(name).WaitersTotal == 1 || isOver(r.done) })
	l := p.Look(name)
	if len(l.Waiters) != 1 || len(r.written(t)) > 0 {
		t.Fatalf("it does not wait: %+v\n%s%s", l, r.out.String(), r.errs.String())
	}
	return l.Waiters[0]
}

// leaseOf returns the lease of a lock that has to be held.
func leaseOf(t *testing.T, p *octotest.Server, name string) *api.Lease {
	t.Helper()
	l := p.Look(name)
	if l.Lease == nil {
		t.Fatalf("the lock is %+v", l)
	}
	return l.Lease
}

func isOver(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

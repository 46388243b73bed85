//go:build unix

package recipes_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// wire passes bytes on between clients and a server, as a proxy on the way would.
type wire struct {
	Addr string
	to   string
	// keeps: it does not tell the server that a client has hung up, as HAProxy by default.
	keeps bool
	// most is how long it lets a connection be; 0: for ever.
	most time.Duration

	listener net.Listener
	mu       sync.Mutex
	open     map[net.Conn]bool
	closed   bool
	work     sync.WaitGroup
}

// start lets a wire pass bytes on until the test ends.
func (w *wire) start(t *testing.T) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.listener, w.Addr, w.open = l, l.Addr().String(), map[net.Conn]bool{}
	w.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.work.Go(func() { w.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.cut()
		w.work.Wait()
	})
	return w
}

// holds remembers a connection, to be cut. It closes one that comes too late.
func (w *wire) holds(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = c.Close()
		return false
	}
	w.open[c] = true
	return true
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.Close()
		delete(w.open, c)
	}
}

func (w *wire) pass(client net.Conn) {
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = client.Close()
		return
	}
	if !w.holds(client) || !w.holds(server) {
		_ = client.Close()
		_ = server.Close()
		return
	}
	if w.most > 0 {
		defer time.AfterFunc(w.most, func() {
			_ = client.Close()
			_ = server.Close()
		}).Stop()
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(client, server) // until either ends
		_ = client.Close()
	}()
	_, _ = io.Copy(server, client)
	if w.keeps {
		<-answered
	}
	_ = server.Close()
	<-answered
	w.mu.Lock()
	delete(w.open, client)
	delete(w.open, server)
	w.mu.Unlock()
}

var stopSignals = map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130, syscall.SIGHUP: 129}

func TestWithLockLeavesTheQueueAtASignal(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		for s, status := range stopSignals {
			name := "signal/" + sh.name + "/" + strconv.Itoa(status)
			other := p.Take(t, name, "?ttl=1h")
			r := sh.start(t, "http://"+p.Addr, []string{"LOCK_SLICE=300s", "LOCK_WAIT=1h"}, name, "/bin/echo", "ran")
			withLockWaits(t, p, name)
			sent := time.Now()
			r.signal(t, s)
			r.ends(t, status, "stopped by SIG")
			if took := time.Since(sent); took > octotest.Promptly {
				t.Errorf("it took %s", took)
			}
			octotest.Expect(t, p.Release(other), 200, "")
			if l := p.Look(name); l.State != api.Free || r.out.String() != "" {
				t.Errorf("after it was stopped: %+v, and it printed %q", l, r.out.String())
			}
		}
	})
}

// losesSignal waits for a moment for the end of a script that got a signal, and reports whether bash 5.2
// has lost it: it reads what a trap does as a part of the $(…) that it is reading.
func losesSignal(r *locked) bool {
	for range 100 {
		select {
		case <-r.done:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if strings.Contains(r.errs.String(), "unexpected EOF while looking for matching") {
			return true
		}
	}
	return false
}

// The process of the script may be signalled at any moment of its life; the signal may
// come to its whole group too, as from a terminal.
func TestWithLockLeavesNothingWheneverItIsStopped(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		rounds := 40
		if testing.Short() {
			rounds = 10
		}
		name, lost := "whenever/"+sh.name, 0
		for n := range rounds {
			r := sh.start(t, "http://"+p.Addr, nil, command(name, "exec sleep 60")...)
			time.Sleep(time.Duration(n*5) * time.Millisecond) // each round at another moment
			to := r.cmd.Process.Pid
			if n%2 == 1 {
				to = -to
			}
			if err := syscall.Kill(to, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if sh.name == "bash" && losesSignal(r) {
				t.Logf("round %d: bash has lost the signal: %s", n, r.errs.String())
				if lost++; lost > 2 {
					t.Errorf("bash has lost %d signals", lost)
				}
				r.signal(t, syscall.SIGTERM)
			}
			select {
			case <-r.done:
			case <-time.After(2 * octotest.Patient):
				t.Fatalf("round %d: it runs on: %s\n%q", n, r.errs.String(), r.processes())
			}
			octotest.WaitUntil(t, "no process is left", func() bool { return len(r.processes()) == 0 })
			if l := p.Look(name); l.State != api.Free {
				t.Fatalf("round %d: %+v\n%s", n, l, r.errs.String())
			}
		}
	})
}

// A proxy that does not pass the hang-up on has the server go on with a waiter that has
// no client. The script takes its place before it ends.
func TestWithLockLeavesNoGhostBehindAProxy(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	w := (&wire{to: p.Addr, keeps: true}).start(t)
	eachShell(t, func(t *testing.T, sh shell) {
		name := "ghost/" + sh.name
		other := p.Take(t, name, "?ttl=1h")
		r := sh.start(t, "http://"+w.Addr, []string{"LOCK_SLICE=300s", "LOCK_WAIT=1h"}, name, "/bin/echo", "ran")
		withLockWaits(t, p, name)
		r.signal(t, syscall.SIGTERM)
		r.ends(t, 143)
		octotest.Expect(t, p.Release(other), 200, "")
		if l := p.Look(name); l.State != api.Free {
			t.Errorf("after it was stopped: %+v", l)
		}
	})
}

// Nothing can take a request back for a script that is killed. What it is given then
// ends with the time for the first renewal.
func TestWithLockKilledWhileItWaitsCostsTheFirstLeaseAtMost(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	w := (&wire{to: p.Addr, keeps: true}).start(t)
	eachShell(t, func(t *testing.T, sh shell) {
		name := "killed/" + sh.name
		other := p.Take(t, name, "?ttl=1h")
		r := sh.start(t, "http://"+w.Addr, []string{"LOCK_TTL=1h", "LOCK_SLICE=300s", "LOCK_WAIT=1h"}, name, "/bin/echo", "ran")
		withLockWaits(t, p, name)
		if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-r.done
		octotest.Expect(t, p.Release(other), 200, "")
		if l := p.Look(name); l.State != api.Held || l.Lease.Holder != "the script" {
			t.Errorf("the proxy has not kept the request: %+v", l)
		}
		begun := time.Now()
		expectFree(t, p, name)
		if took := time.Since(begun); took > 4*time.Second+octotest.Promptly {
			t.Errorf("the lock was free after %s, want LOCK_CONFIRM, 4s", took)
		}
	})
}

func TestWithLockPassesSignalsOnToTheCommand(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		for s, gets := range map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGINT: "TERM", syscall.SIGHUP: "HUP"} {
			name := "pass/" + sh.name + "/" + strconv.Itoa(int(s))
			dir := t.TempDir()
			r := sh.start(t, "http://"+p.Addr, nil, command(name, `cd `+dir+`
				for s in TERM HUP INT; do trap "echo $s; signalled=1" $s; done
				signalled=; touch runs
				until [ -n "$signalled" ]; do sleep 0.1; done
				touch signalled
				until [ -e go ]; do sleep 0.1; done
				exit 5`)...)
			octotest.WaitUntil(t, "the command runs", func() bool { return isThere(dir, "runs") })
			first := p.Look(name).Lease
			r.signal(t, s)
			octotest.WaitUntil(t, "the command has it", func() bool { return isThere(dir, "signalled") })
			// The lock is kept until the command has cleaned up, however long that takes.
			octotest.WaitUntil(t, "the lease is renewed", func() bool {
				l := p.Look(name).Lease
				return first != nil && l != nil && l.FencingToken == first.FencingToken && l.ExpiresAt.After(first.ExpiresAt)
			})
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r.ends(t, 5)
			if l := p.Look(name); l.State != api.Free {
				t.Errorf("after its end: %+v", l)
			}
			if got := strings.Join(strings.Fields(r.out.String()), " "); got != gets {
				t.Errorf("at %s the command got %s, want %s", s, got, gets)
			}
		}
	})
}

// What is left of a script that was killed ends the command, and gives the lease back
// after it.
func TestWithLockKilledEndsTheCommand(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		name := "orphan/" + sh.name
		dir := t.TempDir()
		r := sh.start(t, "http://"+p.Addr, []string{"LOCK_TTL=1h"}, command(name, `cd `+dir+`
			trap 'touch signalled' TERM
			touch runs
			until [ -e go ]; do sleep 0.1; done`)...)
		octotest.WaitUntil(t, "the command runs", func() bool { return isThere(dir, "runs") })
		r.signal(t, syscall.SIGKILL)
		octotest.WaitUntil(t, "the command got SIGTERM", func() bool { return isThere(dir, "signalled") })
		if l := p.Look(name); l.State != api.Held {
			t.Errorf("the command runs, and the lock is %+v", l)
		}
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		expectFree(t, p, name)
		r.ends(t, -1)
	})
}

package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// limitFiles lets a running process open no more than so many files.
func limitFiles(t *testing.T, p *octotest.Server, most uint64) {
	t.Helper()
	var now syscall.Rlimit
	pid := uintptr(p.Cmd.Process.Pid)
	_, _, e := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, pid, syscall.RLIMIT_NOFILE, 0, uintptr(unsafe.Pointer(&now)), 0, 0)
	if e == 0 {
		now.Cur = most
		_, _, e = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, pid, syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	}
	if e != 0 {
		t.Fatalf("limit the open files of the server: %v", e)
	}
}

// openFiles is how many files a process has open.
func openFiles(t *testing.T, p *octotest.Server) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// cpuTime is the time a process has spent computing.
func cpuTime(t *testing.T, p *octotest.Server) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name of the program may hold anything
	fields := strings.Fields(rest)
	var ticks int
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // clock ticks, the same on all systems of today
}

// When the server may open no more files, new connections have to wait. It goes on
// for those it has, does not burn time on those it cannot have, and takes them when
// others leave.
func TestServerWithoutFreeDescriptorsServesOpenConnections(t *testing.T) {
	const waiters, excess = 30, 60
	p := octotest.Start(t, t.TempDir())
	holder := octotest.NewCaller(t, p.Addr)
	held := octotest.Granted(t, holder.Ask("/v1/locks/a/acquire?ttl=1h"))
	var queue []*octotest.Caller
	for n := range waiters {
		queue = append(queue, p.Enqueue(t, "a", "&ttl=1h", n+1))
	}
	limitFiles(t, p, uint64(openFiles(t, p)))
	warned := len(p.Logged("warn"))

	var outside []*octotest.Caller
	for range excess {
		c := octotest.NewCaller(t, p.Addr) // the system accepts it for the server
		if err := c.Post("/v1/locks/b/acquire"); err != nil {
			t.Fatal(err)
		}
		outside = append(outside, c)
	}
	octotest.WaitUntil(t, "the server has noticed", func() bool { return len(p.Logged("warn")) > warned })

	// It does not spin on connections it cannot accept.
	const watched = 1500 * time.Millisecond
	before := cpuTime(t, p)
	time.Sleep(watched) // the time over which it is measured
	spent := cpuTime(t, p) - before
	if spent > watched/5 {
		t.Errorf("it computed for %s of %s with nothing to do", spent, watched)
	}

	// Connected waiters go on, in their order, on their connections.
	for n, c := range queue[:10] {
		octotest.Expect(t, holder.Ask("/v1/locks/a/release?lease_id="+held.LeaseID), 200, `"held_ms"`)
		next := octotest.Granted(t, c.Receive(octotest.Patient))
		if next.FencingToken <= held.FencingToken {
			t.Errorf("waiter %d: token %d after %d", n+1, next.FencingToken, held.FencingToken)
		}
		holder, held = c, next
	}

	// Clients without a connection get one as files become free, without a new request.
	for _, c := range queue[10:] {
		c.Reset()
	}
	answered := map[int]int{}
	for _, c := range outside {
		got := c.Receive(octotest.Patient)
		answered[got.Status]++
		if got.Err != nil || got.Status != 200 && got.Status != 409 {
			t.Errorf("one who waited outside: %d %s %v", got.Status, got.Body, got.Err)
		}
		c.Reset()
	}
	if answered[200] != 1 {
		t.Errorf("the lock was granted to %d at a time", answered[200])
	}
	octotest.WaitUntil(t, "the queue is empty", func() bool { return p.Look("a").State == "held" && p.Look("a").WaitersTotal == 0 })
	t.Logf("%s of CPU in %s; warned %d times", spent, watched, len(p.Logged("warn")))
	p.ExpectHealthy(t)
}

// newLimitedProcess starts a server that may have only so many files open and cannot
// change that.
func newLimitedProcess(t *testing.T, files int) *octotest.Server {
	t.Helper()
	path, dir := octotest.Binary(t), t.TempDir()
	type started struct {
		p   *octotest.Server
		err error
	}
	result := make(chan started)
	go func() {
		// Root could raise the limit. What a thread gives up it does not get back, so it
		// ends with this goroutine.
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_RESOURCE, 0, 0, 0) // not root: nothing to give up
		p, err := octotest.StartCommand(&exec.Cmd{
			Path: "/bin/sh",
			Args: []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" serve`, files), path},
			Dir:  dir,
		})
		result <- started{p, err}
	}()
	s := <-result
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(s.p.Kill)
	return s.p
}

// Waiters do not take the last connections: where the server may have fewer files open
// than there may be waiters, fewer may wait, so that holders can go on.
func TestWaitersLeaveConnectionsToHolders(t *testing.T) {
	const files, most = 300, 113
	p := newLimitedProcess(t, files)
	told, err := p.WaitLog("the limit of open files leaves room for fewer waiters, watches, exports or connections than the settings say", 5*time.Second)
	if err != nil || told.MaxWaiters != 50_000 || told.MayWait != most {
		t.Errorf("told %+v (%v), want %d instead of 50000 waiters", told, err, most)
	}
	held := p.Take(t, "a", "?ttl=1h")
	other := p.Take(t, "b", "?ttl=1h")
	var queue []*octotest.Caller
	for range most {
		c := octotest.NewCaller(t, p.Addr)
		if err := c.Post("/v1/locks/a/acquire?wait=5m"); err != nil {
			t.Fatal(err)
		}
		queue = append(queue, c)
	}
	octotest.WaitUntil(t, "all wait", func() bool { return p.Look("a").WaitersTotal == most })
	for _, name := range []string{"a", "b"} {
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/"+name+"/acquire?wait=1s"), 429, `"queue_full"`)
	}
	octotest.Expect(t, p.Renew(held), 200, `"lease_id"`)
	octotest.Expect(t, p.Renew(other), 200, `"lease_id"`)
	octotest.Expect(t, p.Release(other), 200, `"held_ms"`)
	first := p.Look("a").Waiters[0]
	octotest.Expect(t, p.Release(held), 200, `"held_ms"`)
	octotest.WaitUntil(t, "the lock is handed over", func() bool { return p.Look("a").WaitersTotal == most-1 })
	if l := p.Look("a"); l.Lease == nil || l.Lease.FencingToken <= held.FencingToken || l.Waiters[0].Since.Before(first.Since) {
		t.Errorf("after the release: %+v", l)
	}
	for _, c := range queue {
		c.Reset()
	}
	p.ExpectHealthy(t)
}

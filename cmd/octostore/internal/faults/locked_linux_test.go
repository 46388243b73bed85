package faults_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// keepLocked locks a database for writing as another process with SQLite does that
// has begun a transaction, and returns what ends that.
func keepLocked(t *testing.T, db string) (let func()) {
	t.Helper()
	f, err := os.OpenFile(db+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	const writeLock = 120 // the byte of the -shm file that stands for it
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: writeLock, Len: 1}
	octotest.WaitUntil(t, "the database can be locked", func() bool {
		return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock) == nil
	})
	return func() { _ = f.Close() }
}

const (
	waitsForOther = "another process keeps the database locked; changes wait for it"
	goesOn        = "the database is no longer locked; changes go on"
)

// While another process keeps the database locked, changes wait, for however long, and
// nothing else stops.
func TestLockedDatabaseMakesChangesWait(t *testing.T) {
	t.Parallel() // it waits more than it works
	most := 12 * time.Second
	if testing.Short() {
		most = 3 * time.Second
	}
	dir := t.TempDir()
	p := octotest.Start(t, dir)
	held := p.Take(t, "a", "?ttl=1h")
	let := keepLocked(t, filepath.Join(dir, "octostore.db"))
	began := time.Now()

	c := octotest.NewCaller(t, p.Addr)
	if err := c.Post("/v1/locks/b/acquire?wait=5m&ttl=1h"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WaitLog(waitsForOther, octotest.Patient); err != nil {
		t.Fatal(err)
	}
	// A request without a wait is told in the end that the outcome is unknown; one that only
	// reads sees the state before.
	octotest.Expect(t, p.Release(held), 503, `"outcome_unknown"`)
	if l := p.Look("a"); l.Lease == nil || l.Lease.FencingToken != held.FencingToken {
		t.Errorf("meanwhile a is %+v", l)
	}
	time.Sleep(time.Until(began.Add(most))) // as long as it is locked

	let()
	if g := octotest.Granted(t, c.Receive(octotest.Patient)); g.FencingToken <= held.FencingToken {
		t.Errorf("token %d after %d", g.FencingToken, held.FencingToken)
	}
	if _, err := p.WaitLog(goesOn, octotest.Patient); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the release is done after all", func() bool { return p.Look("a").State == api.Free })
	warned := 0
	for _, line := range p.Logged("warn") {
		if line.Msg == waitsForOther {
			warned++
		}
	}
	if warned != 1 {
		t.Errorf("warned %d times", warned)
	}
	p.ExpectHealthy(t)
}

// A stop does not wait for the process that keeps the database locked.
func TestLockedDatabaseDoesNotHoldTheStop(t *testing.T) {
	t.Parallel() // it waits more than it works
	for _, test := range []struct {
		name string
		busy bool // a change waits already
	}{
		{"while nothing changes", false},
		{"while a change waits", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := octotest.Start(t, dir)
			held := p.Take(t, "a", "?ttl=1h")
			let := keepLocked(t, filepath.Join(dir, "octostore.db"))
			if test.busy {
				if err := octotest.NewCaller(t, p.Addr).Post("/v1/locks/b/acquire?wait=5m"); err != nil {
					t.Fatal(err)
				}
				if _, err := p.WaitLog(waitsForOther, octotest.Patient); err != nil {
					t.Fatal(err)
				}
			}
			asked := time.Now()
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ended, err := p.Wait(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s after %s", ended, time.Since(asked).Round(time.Millisecond))
			let()
			p = octotest.Start(t, dir)
			if l := p.Look("a"); l.Lease == nil || l.Lease.FencingToken != held.FencingToken {
				t.Errorf("after the next start a is %+v", l)
			}
			p.ExpectHealthy(t)
		})
	}
}

package faults_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// smallDisk is a file system of its own that is easily filled.
type smallDisk struct {
	dir     string
	fillers int
}

func newSmallDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIP: cannot mount a small file system (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return &smallDisk{dir: dir}
}

// fill leaves no byte free.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	d.fillers++
	f, err := os.Create(d.filler(d.fillers))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		_, err := f.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			block = block[:len(block)/2]
		case err != nil:
			t.Fatal(err)
		}
	}
}

// free gives all of it back.
func (d *smallDisk) free(t *testing.T) {
	t.Helper()
	for ; d.fillers > 0; d.fillers-- {
		if err := os.Remove(d.filler(d.fillers)); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *smallDisk) filler(n int) string { return filepath.Join(d.dir, fmt.Sprintf("filler-%d", n)) }

// bulky is an acquire that needs much space.
func bulky(n int) string {
	var meta strings.Builder
	for key := range 14 {
		fmt.Fprintf(&meta, "&meta.k%d=%s", key, strings.Repeat("v", 512))
	}
	return fmt.Sprintf("/v1/locks/bulk/%d/acquire?ttl=1h&reason=%s%s", n, url.QueryEscape(strings.Repeat("r", 512)), meta.String())
}

// onDisk is what the clients of a server on a small disk were told.
type onDisk struct {
	held  []api.Grant
	freed []api.Grant
	bulk  int // tried so far
}

// newOnDisk has clients hold some locks.
func newOnDisk(t *testing.T, p *octotest.Server, n int) *onDisk {
	t.Helper()
	o := &onDisk{}
	for i := range n {
		o.held = append(o.held, p.Take(t, fmt.Sprintf("before/%d", i), "?ttl=1h"))
	}
	return o
}

// useUp acquires until an answer is 507, and returns how many were granted before.
func (o *onDisk) useUp(t *testing.T, p *octotest.Server) int {
	t.Helper()
	c := octotest.NewCaller(t, p.Addr)
	for n := range 20_000 {
		got := c.Ask(bulky(o.bulk))
		o.bulk++
		if got.Status == 507 {
			octotest.Expect(t, got, 507, `"storage_full"`)
			return n
		}
		o.held = append(o.held, octotest.Granted(t, got))
	}
	t.Fatal("20,000 acquires on a full disk, all granted")
	return 0
}

// giveBack releases n locks and returns how many of them the server had space for.
// A holder that gets a 507 still has its lock.
func (o *onDisk) giveBack(t *testing.T, p *octotest.Server, n int) (done int) {
	t.Helper()
	for range n {
		g := o.held[0]
		o.held = o.held[1:]
		got := p.Release(g)
		switch got.Status {
		case 507:
			o.held = append(o.held, g)
		case 200:
			o.freed = append(o.freed, g)
			done++
		default:
			t.Fatalf("releasing %s: %d %s %v", g.Name, got.Status, got.Body, got.Err)
		}
	}
	return done
}

// check looks whether the server knows what its clients were told.
func (o *onDisk) check(t *testing.T, p *octotest.Server) {
	t.Helper()
	for _, g := range o.held {
		if l := p.Look(g.Name); l.Lease == nil || l.Lease.FencingToken != g.FencingToken {
			t.Fatalf("%s: token %d is lost: %+v", g.Name, g.FencingToken, l.Lease)
		}
	}
	for _, g := range o.freed {
		if l := p.Look(g.Name); l.State != api.Free {
			t.Fatalf("%s: released, and it is %s", g.Name, l.State)
		}
	}
}

// On a full disk the server refuses acquires, and no answer says what the disk does not
// know. Nothing that was acknowledged is lost, waiters keep their places, and with space
// again everything is as before, without a restart.
func TestFullDiskRefusesAcquiresAndRecoversByItself(t *testing.T) {
	t.Parallel() // it waits more than it works
	disk := newSmallDisk(t, "40m")
	p := octotest.Start(t, disk.dir)
	o := newOnDisk(t, p, 200)
	old := p.Take(t, "handed", "?ttl=1h")
	waiter := p.Enqueue(t, "handed", "&ttl=1h", 1)

	disk.fill(t)
	t.Logf("%d acquires found space on the full disk, %d of 50 releases in the reserve", o.useUp(t, p), o.giveBack(t, p, 50))
	disk.fill(t)
	o.useUp(t, p)
	t.Logf("%d of 50 releases without any space", o.giveBack(t, p, 50))
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/healthz"), 200, "")
	if got := p.Renew(o.held[0]); got.Status != 200 && got.Status != 507 {
		t.Errorf("renew: %d %s %v", got.Status, got.Body, got.Err)
	}
	o.check(t, p)

	disk.free(t)
	o.recovers(t, p)
	o.check(t, p)
	octotest.Expect(t, p.Renew(o.held[0]), 200, `"lease_id"`)
	octotest.Expect(t, p.Release(old), 200, `"held_ms"`)
	if next := octotest.Granted(t, waiter.Receive(octotest.Patient)); next.FencingToken <= old.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, old.FencingToken)
	}
	p.ExpectHealthy(t)
}

// The reserve is there so that holders can renew their leases and give their locks
// back, and those behind them have them, while acquires are refused.
func TestFullDiskLetsHoldersGoOn(t *testing.T) {
	t.Parallel() // it waits more than it works
	disk := newSmallDisk(t, "64m")
	p := octotest.Start(t, disk.dir)
	o := newOnDisk(t, p, 200)
	old := p.Take(t, "handed", "?ttl=1h")
	waiter := p.Enqueue(t, "handed", "&ttl=1h", 1)
	lapsing := p.Take(t, "lapsing", "?ttl=5s")
	heir := p.Enqueue(t, "lapsing", "&ttl=1h", 1)
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/readyz"), 200, `"ok"`)

	disk.fill(t)
	t.Logf("%d acquires found space on the full disk", o.useUp(t, p))
	expectFull(t, p)
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/handed/acquire?wait=1s"), 507, `"storage_full"`)
	all := len(o.held) / 2
	if done := o.giveBack(t, p, all); done != all {
		t.Errorf("%d of %d releases on a full disk", done, all)
	}
	for _, g := range o.held {
		octotest.Expect(t, p.Renew(g), 200, `"lease_id"`)
	}
	octotest.Expect(t, p.Release(old), 200, `"held_ms"`)
	o.held = append(o.held, octotest.Granted(t, waiter.Receive(octotest.Patient)))
	next := octotest.Granted(t, heir.Receive(octotest.Patient))
	if next.FencingToken <= lapsing.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, lapsing.FencingToken)
	}
	o.held = append(o.held, next)
	expectFull(t, p)
	o.check(t, p)

	p.Kill()
	p = octotest.Start(t, disk.dir)
	o.check(t, p)
	o.useUp(t, p)
	expectFull(t, p)
	if done := o.giveBack(t, p, 50); done != 50 {
		t.Errorf("%d of 50 releases on a full disk after a crash", done)
	}
	disk.free(t)
	octotest.WaitWithin(t, octotest.Patient, "it is ready", func() bool { return octotest.Call("GET", p.Addr, "/readyz?grants=1").Status == 200 })
	o.recovers(t, p)
	o.check(t, p)
	p.ExpectHealthy(t)
}

// expectFull fails the test unless the server says that it grants nothing, and works.
func expectFull(t *testing.T, p *octotest.Server) {
	t.Helper()
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/readyz"), 200, `"degraded":["storage_full"]`)
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/readyz?grants=1"), 503, `"storage_full"`)
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/healthz"), 200, `"ok"`)
	if full := p.Metric("octostore_full"); full != 1 {
		t.Errorf("octostore_full is %v", full)
	}
}

// recovers waits until acquires are granted again, and gives everything back.
func (o *onDisk) recovers(t *testing.T, p *octotest.Server) {
	t.Helper()
	began := time.Now()
	octotest.WaitWithin(t, octotest.Patient, "acquires are granted again", func() bool {
		got := octotest.Call("POST", p.Addr, bulky(o.bulk))
		o.bulk++
		if got.Status == 507 {
			return false
		}
		o.held = append(o.held, octotest.Granted(t, got))
		return true
	})
	t.Logf("acquires are granted %s after there was space", time.Since(began).Round(time.Millisecond))
	for n := range 20 { // not only the one that tried
		octotest.Expect(t, octotest.Call("POST", p.Addr, fmt.Sprintf("/v1/locks/after/%d/acquire", n)), 200, "")
	}
	if half := len(o.held) / 2; o.giveBack(t, p, half) != half {
		t.Error("not every holder can release")
	}
}

// The same over a crash: a server killed on a full disk comes up on it, knows what
// was acknowledged, and recovers when there is space.
func TestKillOnAFullDiskLosesNothing(t *testing.T) {
	disk := newSmallDisk(t, "40m")
	p := octotest.Start(t, disk.dir)
	o := newOnDisk(t, p, 100)
	disk.fill(t)
	o.useUp(t, p)
	o.giveBack(t, p, 20)
	disk.fill(t)
	o.useUp(t, p)
	var newest uint64
	for _, g := range o.held {
		newest = max(newest, g.FencingToken)
	}

	for range 2 {
		p.Kill()
		p = octotest.Start(t, disk.dir)
		o.check(t, p)
		o.giveBack(t, p, 10)
	}
	disk.free(t)
	o.recovers(t, p)
	o.check(t, p)
	if g := p.Take(t, "newest", ""); g.FencingToken <= newest {
		t.Errorf("token %d after %d", g.FencingToken, newest)
	}
	p.ExpectHealthy(t)
}

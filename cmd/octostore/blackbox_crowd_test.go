package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/filelimit"

	"github.com/octostore/octostore/transport/api"
)

// crowdTime is for what a whole crowd does, one after the other, on a slow disk.
const crowdTime = 3 * time.Minute

// hands is how many goroutines of a test open, release and reset connections.
const hands = 16

// byHands calls do for every number below n, by many hands.
func byHands(n int, do func(i int) error) error {
	var next atomic.Int64
	failed := make([]error, hands)
	var wg sync.WaitGroup
	for h := range hands {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed[h] == nil; i = int(next.Add(1)) - 1 {
				failed[h] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// crowd is many who wait, each on a connection of its own.
type crowd struct {
	p       *process
	name    func(i int) string // the lock each waits for
	held    []api.Grant        // what they wait for
	waiters []*caller
}

// gather has n wait for locks that are held, and returns when all stand in a queue.
func gather(t *testing.T, p *process, n, locks int) *crowd {
	t.Helper()
	c := &crowd{p: p, waiters: make([]*caller, n), held: make([]api.Grant, locks)}
	c.name = func(i int) string { return fmt.Sprintf("crowd/%d/%d", locks, i%locks) }
	err := c.holders(func(holder *caller, i int) error {
		c.held[i] = grantIn(holder.ask("/v1/locks/" + c.name(i) + "/acquire?ttl=1h"))
		if c.held[i].LeaseID == "" {
			return fmt.Errorf("%s was not granted", c.name(i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hangUp)
	err = byHands(n, func(i int) (err error) {
		if c.waiters[i], err = dialCaller(p.Addr); err != nil {
			return err
		}
		return c.waiters[i].post("/v1/locks/" + c.name(i) + "/acquire?wait=10m&ttl=1h")
	})
	if err != nil {
		t.Fatal(err)
	}
	waitSoon(t, crowdTime, "all wait", func() bool { return metric(p, "octostore_waiters") == float64(n) })
	return c
}

// holders calls do for every lock, on a few connections.
func (c *crowd) holders(do func(holder *caller, i int) error) error {
	return byHands(hands, func(h int) error {
		holder, err := dialCaller(c.p.Addr)
		if err != nil {
			return err
		}
		defer holder.reset()
		for i := h; i < len(c.held); i += hands {
			if err := do(holder, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// releaseAll gives back what the crowd waits for.
func (c *crowd) releaseAll() error {
	return c.holders(func(holder *caller, i int) error {
		ask := func() answer {
			return holder.ask("/v1/locks/" + c.held[i].Name + "/release?lease_id=" + c.held[i].LeaseID)
		}
		got := ask()
		for began := time.Now(); strings.Contains(got.body, `"outcome_unknown"`) && time.Since(began) < crowdTime; {
			got = ask() // a slow disk: ask again, as the answer says
		}
		if got.status != 200 {
			return fmt.Errorf("release %s: %d %s %v", c.held[i].Name, got.status, got.body, got.err)
		}
		return nil
	})
}

// takeTurns has everybody wait for its turn, and pass the lock on.
func (c *crowd) takeTurns() error {
	all := make(chan error, len(c.waiters))
	for i, w := range c.waiters {
		go func() { all <- c.takeTurn(w, c.held[i%len(c.held)]) }()
	}
	var first error
	for range c.waiters {
		if err := <-all; first == nil {
			first = err
		}
	}
	return first
}

func (c *crowd) takeTurn(w *caller, before api.Grant) error {
	got := w.receive(crowdTime)
	g := grantIn(got)
	if g.FencingToken <= before.FencingToken {
		return fmt.Errorf("token %d after %d: %d %s %v", g.FencingToken, before.FencingToken, got.status, got.body, got.err)
	}
	if got := w.ask("/v1/locks/" + g.Name + "/release?lease_id=" + g.LeaseID); got.status != 200 {
		return fmt.Errorf("release %s: %d %s %v", g.Name, got.status, got.body, got.err)
	}
	return nil
}

// hangUp ends all connections the rude way, together.
func (c *crowd) hangUp() {
	_ = byHands(len(c.waiters), func(i int) error {
		if c.waiters[i] != nil {
			c.waiters[i].reset()
		}
		return nil
	})
}

// footprint is what a server takes of its machine.
type footprint struct {
	memory                  float64 // resident, in MiB
	goroutines, descriptors float64
}

func footprintOf(p *process) footprint {
	return footprint{
		memory:      metric(p, "process_resident_memory_bytes") / (1 << 20),
		goroutines:  metric(p, "go_goroutines"),
		descriptors: metric(p, "process_open_fds"),
	}
}

func (f footprint) String() string {
	return fmt.Sprintf("%.0f MiB, %.0f goroutines, %.0f descriptors", f.memory, f.goroutines, f.descriptors)
}

// A crowd of waiters comes and goes, three times in different ways. What it took is
// given back: descriptors and goroutines at once, memory as the garbage collector
// runs. Until then the process may have up to two and a half times what the first
// crowd took, for that is how the collector is set.
func TestCrowdsComeAndGo(t *testing.T) {
	n := crowdSize(t)
	p := newProcess(t, t.TempDir())
	take(t, p, "warm/up", "")
	before, live := footprintOf(p), liveHeap(p)
	t.Logf("alone: %s", before)

	var first footprint
	for _, test := range []struct {
		name     string
		n, locks int
		leave    func(*crowd) error
	}{
		{"all are released at once", n, n, func(c *crowd) error { return errors.Join(c.releaseAll(), c.takeTurns()) }},
		// This one is a commit after the other, which takes its time on a slow disk.
		{"one lock is handed along", min(n, 1_000), 1, func(c *crowd) error { return errors.Join(c.releaseAll(), c.takeTurns()) }},
		{"all hang up at once", n, 1, func(c *crowd) error { c.hangUp(); return c.releaseAll() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := test.n
			c := gather(t, p, n, test.locks)
			during := footprintOf(p)
			if first == (footprint{}) {
				first = during
			}
			began := time.Now()
			if err := test.leave(c); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			c.hangUp()
			const slack = 20
			waitSoon(t, crowdTime, "they have left", func() bool {
				now := footprintOf(p)
				return metric(p, "octostore_waiters") == 0 && now.goroutines <= before.goroutines+slack && now.descriptors <= before.descriptors+slack
			})
			after := footprintOf(p)
			t.Logf("%d waiters: %s; over in %s; afterwards %s", n, during, took.Round(time.Millisecond), after)
			if most := 2.5*first.memory + slackMiB; during.memory > most || after.memory > most {
				t.Errorf("%.0f MiB, and %.0f afterwards; the first crowd took %.0f", during.memory, after.memory, first.memory)
			}
			last := c.name(n - 1)
			expect(t, release(p, take(t, p, last, "")), 200, "")
		})
	}
	began := time.Now()
	waitSoon(t, crowdTime, "memory is given back", func() bool {
		exercise(t, p)
		// With few waiters the process has other things in memory, in short runs mostly
		// those of the race detector, which gives nothing back.
		resident := testing.Short() || footprintOf(p).memory <= first.memory+slackMiB
		return resident && liveHeap(p) <= live+slackMiB
	})
	t.Logf("after %s of other work: %s, %.0f MiB of heap more than before", time.Since(began).Round(time.Millisecond), footprintOf(p), liveHeap(p)-live)
	expectWell(t, p)
}

// slackMiB is for what stays by design: what is known of ended leases for ten
// minutes, and room to work in.
const slackMiB = 64

// liveHeap is what the last garbage collection found in use, in MiB, judged by when
// the next is to be.
func liveHeap(p *process) float64 { return metric(p, "go_memstats_next_gc_bytes") / 2 / (1 << 20) }

// exercise makes the server do something that leaves much garbage.
func exercise(t *testing.T, p *process) {
	t.Helper()
	err := byHands(hands, func(int) error {
		c, err := dialCaller(p.Addr)
		if err != nil {
			return err
		}
		defer c.reset()
		for range 30 {
			if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				return err
			}
			if got := c.receive(patient); got.status != 200 {
				return fmt.Errorf("metrics: %d %w", got.status, got.err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// crowdSize is how many may wait, given that this process and the server each need a
// descriptor for everyone.
func crowdSize(t *testing.T) int {
	n := howMany(0, 10_000, 500)
	const spare = 500
	if most := int(filelimit.Raise(uint64(n+spare))) - spare; most < n {
		t.Logf("only %d files may be open: %d wait instead of %d", most+spare, most, n)
		return most
	}
	return n
}

// Clients queue, and most of them hang up while the locks change hands: of four one at
// once, two at a random moment. The fourth stays and must have its turn, whatever the
// others do. No ghost of them is left: nobody waits, no lock is held for longer than
// one lease, the next client has it then, and tokens have only grown.
func TestAbandonedWaitsLeaveNoGhosts(t *testing.T) {
	const locks = 16
	n := howMany(*tortureAbandoned, 2_000, 500)
	p := newProcess(t, t.TempDir())
	var abandoned, turns, late atomic.Int64
	newest := make([]atomic.Uint64, locks)
	var next atomic.Int64
	var wg sync.WaitGroup
	for h := range 4 * hands {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(cmp.Or(*tortureSeed, 1), uint64(h)))
			for abandoned.Load() < int64(n) && !t.Failed() {
				at := next.Add(1)
				i := rng.IntN(locks)
				most := [...]time.Duration{0, patient, patience(rng), patience(rng)}[at%4]
				token, err := queueBriefly(p, fmt.Sprintf("g/%d", i), most)
				switch {
				case errors.Is(err, errSlowDisk):
					late.Add(1)
				case err != nil:
					t.Error(err)
				case token == 0 && most == patient:
					t.Errorf("g/%d: no turn in %s", i, most)
				case token == 0:
					abandoned.Add(1)
				default:
					turns.Add(1)
					raise(&newest[i], token)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d waits: %d abandoned, %d had their turn, %d were told that the disk was too slow", next.Load(), abandoned.Load(), turns.Load(), late.Load())
	if abandoned.Load() < int64(n) || turns.Load()+late.Load() < int64(n/4) || turns.Load() == 0 {
		t.Error("of four, one has to hang up and one to have its turn")
	}
	waitUntil(t, "nobody waits", func() bool { return metric(p, "octostore_waiters") == 0 })
	for i := range locks {
		// One whose answer was under way when it hung up may have the lock until its
		// lease of a second ends.
		g := take(t, p, fmt.Sprintf("g/%d", i), "?wait=30s")
		if took := time.Duration(g.WaitedMS) * time.Millisecond; took > time.Second+promptly || g.FencingToken <= newest[i].Load() {
			t.Errorf("g/%d: waited %d ms for token %d after %d", i, g.WaitedMS, g.FencingToken, newest[i].Load())
		}
	}
	expectWell(t, p)
}

// patience is how long somebody waits who may or may not have his turn.
func patience(rng *rand.Rand) time.Duration {
	return time.Duration(1+rng.IntN(20_000)) * time.Microsecond
}

// errSlowDisk is what a server says when a commit takes longer than a lease of a
// second or its callers wait: that it was too late, or that it does not know. The
// lease ends by itself then.
var errSlowDisk = errors.New("the disk was too slow")

func slowDisk(got answer) bool {
	return got.status == 503 && (strings.Contains(got.body, `"too_late"`) || strings.Contains(got.body, `"outcome_unknown"`))
}

// queueBriefly waits for a lock for as long as it has patience, then hangs up. It
// returns the token if it had its turn before.
func queueBriefly(p *process, name string, patience time.Duration) (token uint64, err error) {
	c, err := dialCaller(p.Addr)
	if err != nil {
		return 0, err
	}
	defer c.reset()
	if err := c.post("/v1/locks/" + name + "/acquire?wait=1m&ttl=1s"); err != nil {
		return 0, err
	}
	if patience == 0 {
		return 0, nil
	}
	got := c.receive(patience)
	if isTimeout(got.err) {
		return 0, nil
	}
	if slowDisk(got) {
		return 0, errSlowDisk
	}
	g := grantIn(got)
	if g.LeaseID == "" {
		return 0, fmt.Errorf("%s: %d %s %w", name, got.status, got.body, got.err)
	}
	switch got := c.ask("/v1/locks/" + name + "/release?lease_id=" + g.LeaseID); {
	case slowDisk(got), got.status == 409: // the second was over
		return 0, errSlowDisk
	case got.status != 200:
		return 0, fmt.Errorf("release %s: %d %s %w", name, got.status, got.body, got.err)
	}
	return g.FencingToken, nil
}

// raise sets a to n if that is more.
func raise(a *atomic.Uint64, n uint64) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}

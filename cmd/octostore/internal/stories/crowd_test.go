package stories_test

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
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"

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
	p       *octotest.Server
	name    func(i int) string // the lock each waits for
	held    []api.Grant        // what they wait for
	waiters []*octotest.Caller
}

// gather has n wait for locks that are held, and returns when all stand in a queue.
func gather(t *testing.T, p *octotest.Server, n, locks int) *crowd {
	t.Helper()
	c := &crowd{p: p, waiters: make([]*octotest.Caller, n), held: make([]api.Grant, locks)}
	c.name = func(i int) string { return fmt.Sprintf("crowd/%d/%d", locks, i%locks) }
	err := c.holders(func(holder *octotest.Caller, i int) error {
		c.held[i] = octotest.GrantIn(holder.Ask("/v1/locks/" + c.name(i) + "/acquire?ttl=1h"))
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
		if c.waiters[i], err = octotest.Dial(p.Addr); err != nil {
			return err
		}
		return c.waiters[i].Post("/v1/locks/" + c.name(i) + "/acquire?wait=10m&ttl=1h")
	})
	if err != nil {
		t.Fatal(err)
	}
	octotest.WaitWithin(t, crowdTime, "all wait", func() bool { return p.Metric("octostore_waiters") == float64(n) })
	return c
}

// holders calls do for every lock, on a few connections.
func (c *crowd) holders(do func(holder *octotest.Caller, i int) error) error {
	return byHands(hands, func(h int) error {
		holder, err := octotest.Dial(c.p.Addr)
		if err != nil {
			return err
		}
		defer holder.Reset()
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
	return c.holders(func(holder *octotest.Caller, i int) error {
		ask := func() octotest.Answer {
			return holder.Ask("/v1/locks/" + c.held[i].Name + "/release?lease_id=" + c.held[i].LeaseID)
		}
		got := ask()
		for began := time.Now(); strings.Contains(got.Body, `"outcome_unknown"`) && time.Since(began) < crowdTime; {
			got = ask() // a slow disk: ask again, as the answer says
		}
		if got.Status != 200 {
			return fmt.Errorf("release %s: %d %s %w", c.held[i].Name, got.Status, got.Body, got.Err)
		}
		return nil
	})
}

// takeTurns lets every waiter wait for its turn, and pass the lock on.
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

func (c *crowd) takeTurn(w *octotest.Caller, before api.Grant) error {
	got := w.Receive(crowdTime)
	g := octotest.GrantIn(got)
	if g.FencingToken <= before.FencingToken {
		return fmt.Errorf("token %d after %d: %d %s %w", g.FencingToken, before.FencingToken, got.Status, got.Body, got.Err)
	}
	if got := w.Ask("/v1/locks/" + g.Name + "/release?lease_id=" + g.LeaseID); got.Status != 200 {
		return fmt.Errorf("release %s: %d %s %w", g.Name, got.Status, got.Body, got.Err)
	}
	return nil
}

// hangUp ends all connections the rude way, together.
func (c *crowd) hangUp() {
	_ = byHands(len(c.waiters), func(i int) error {
		if c.waiters[i] != nil {
			c.waiters[i].Reset()
		}
		return nil
	})
}

// footprint is what a server takes of its machine.
type footprint struct {
	memory                  float64 // resident, in MiB
	goroutines, descriptors float64
}

func footprintOf(p *octotest.Server) footprint {
	return footprint{
		memory:      p.Metric("process_resident_memory_bytes") / (1 << 20),
		goroutines:  p.Metric("go_goroutines"),
		descriptors: p.Metric("process_open_fds"),
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
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "warm/up", "")
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
			octotest.WaitWithin(t, crowdTime, "they have left", func() bool {
				now := footprintOf(p)
				return p.Metric("octostore_waiters") == 0 && now.goroutines <= before.goroutines+slack && now.descriptors <= before.descriptors+slack
			})
			after := footprintOf(p)
			t.Logf("%d waiters: %s; over in %s; afterwards %s", n, during, took.Round(time.Millisecond), after)
			if most := 2.5*first.memory + slackMiB; during.memory > most || after.memory > most {
				t.Errorf("%.0f MiB, and %.0f afterwards; the first crowd took %.0f", during.memory, after.memory, first.memory)
			}
			last := c.name(n - 1)
			octotest.Expect(t, p.Release(p.Take(t, last, "")), 200, "")
		})
	}
	began := time.Now()
	octotest.WaitWithin(t, crowdTime, "memory is given back", func() bool {
		exercise(t, p)
		// With few waiters the process has other things in memory, in short runs mostly
		// those of the race detector, which gives nothing back.
		resident := testing.Short() || footprintOf(p).memory <= first.memory+slackMiB
		return resident && liveHeap(p) <= live+slackMiB
	})
	t.Logf("after %s of other work: %s, %.0f MiB of heap more than before", time.Since(began).Round(time.Millisecond), footprintOf(p), liveHeap(p)-live)
	p.ExpectHealthy(t)
}

// slackMiB is for what stays by design: what is known of ended leases for ten
// minutes, and room to work in.
const slackMiB = 64

// liveHeap is what the last garbage collection found in use, in MiB, judged by when
// the next is to be.
func liveHeap(p *octotest.Server) float64 {
	return p.Metric("go_memstats_next_gc_bytes") / 2 / (1 << 20)
}

// exercise makes the server do something that leaves much garbage.
func exercise(t *testing.T, p *octotest.Server) {
	t.Helper()
	err := byHands(hands, func(int) error {
		c, err := octotest.Dial(p.Addr)
		if err != nil {
			return err
		}
		defer c.Reset()
		for range 30 {
			if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				return err
			}
			if got := c.Receive(octotest.Patient); got.Status != 200 {
				return fmt.Errorf("metrics: %d %w", got.Status, got.Err)
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
	n := octotest.HowMany(0, 10_000, 500)
	const spare = 500
	if most := int(filelimit.Raise(uint64(n+spare))) - spare; most < n {
		t.Logf("only %d files may be open: %d wait instead of %d", most+spare, most, n)
		return most
	}
	return n
}

// Clients queue, and most of them hang up while the locks change hands: of four one at
// once, two at a random moment. The fourth stays and must have its turn, whatever the
// others do. No ghost of them is left: the queues are empty, no lock is held for longer
// than one lease, the next client has it then, and tokens have only grown.
func TestAbandonedWaitsLeaveNoGhosts(t *testing.T) {
	const locks = 16
	n := octotest.HowMany(*tortureAbandoned, 2_000, 500)
	p := octotest.Start(t, t.TempDir())
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
				most := [...]time.Duration{0, octotest.Patient, patience(rng), patience(rng)}[at%4]
				token, err := queueBriefly(p, fmt.Sprintf("g/%d", i), most)
				switch {
				case errors.Is(err, errSlowDisk):
					late.Add(1)
				case err != nil:
					t.Error(err)
				case token == 0 && most == octotest.Patient:
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
	octotest.WaitUntil(t, "the queues are empty", func() bool { return p.Metric("octostore_waiters") == 0 })
	for i := range locks {
		// One whose answer was under way when it hung up may have the lock until its
		// lease of a second ends.
		g := p.Take(t, fmt.Sprintf("g/%d", i), "?wait=30s")
		if took := time.Duration(g.WaitedMS) * time.Millisecond; took > time.Second+octotest.Promptly || g.FencingToken <= newest[i].Load() {
			t.Errorf("g/%d: waited %d ms for token %d after %d", i, g.WaitedMS, g.FencingToken, newest[i].Load())
		}
	}
	p.ExpectHealthy(t)
}

// patience is how long a client waits that may or may not have its turn.
func patience(rng *rand.Rand) time.Duration {
	return time.Duration(1+rng.IntN(20_000)) * time.Microsecond
}

// errSlowDisk is the end of an attempt that [octotest.Answer.DiskTooSlow] explains.
var errSlowDisk = errors.New("the disk was too slow")

// queueBriefly waits for a lock for as long as it has patience, then hangs up. It
// returns the token if it had its turn before.
func queueBriefly(p *octotest.Server, name string, patience time.Duration) (token uint64, err error) {
	c, err := octotest.Dial(p.Addr)
	if err != nil {
		return 0, err
	}
	defer c.Reset()
	if err := c.Post("/v1/locks/" + name + "/acquire?wait=1m&ttl=1s"); err != nil {
		return 0, err
	}
	if patience == 0 {
		return 0, nil
	}
	got := c.Receive(patience)
	if isTimeout(got.Err) {
		return 0, nil
	}
	if got.DiskTooSlow() {
		return 0, errSlowDisk
	}
	g := octotest.GrantIn(got)
	if g.LeaseID == "" {
		return 0, fmt.Errorf("%s: %d %s %w", name, got.Status, got.Body, got.Err)
	}
	switch got := c.Ask("/v1/locks/" + name + "/release?lease_id=" + g.LeaseID); {
	case got.DiskTooSlow(), got.Status == 409: // the second was over
		return 0, errSlowDisk
	case got.Status != 200:
		return 0, fmt.Errorf("release %s: %d %s %w", name, got.Status, got.Body, got.Err)
	}
	return g.FencingToken, nil
}

// raise sets a to n if that is more.
func raise(a *atomic.Uint64, n uint64) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}

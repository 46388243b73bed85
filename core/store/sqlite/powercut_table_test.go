package sqlite

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	tortureCuts   = flag.Int("torture.cuts", 1000, "power cuts to simulate; 50 with -short")
	tortureFaults = flag.Int("torture.faults", 300, "runs with a failing disk; 30 with -short")
	tortureSeed   = flag.Uint64("torture.seed", uint64(time.Now().UnixNano()), "seed of both")
)

// amount is the value of a flag, or less with -short if the flag was not set.
func amount(name string, value, short int) int {
	if !testing.Short() {
		return value
	}
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	if set {
		return value
	}
	return short
}

// The power may go at any moment in the lives of a server, including its first start and
// its stops. What its clients were told holds, no token is given twice, and the journal is
// whole.
func TestPowerCutsOfATable(t *testing.T) {
	cuts := amount("torture.cuts", *tortureCuts, 50)
	c := recordLives(t, false)
	t.Logf("seed %d: %d operations, %d commits, %d answers", *tortureSeed, len(c.d.ops), len(c.commits), len(c.said))
	dir := t.TempDir()
	var held atomic.Int64
	atOnce(cuts, func(i int) bool {
		err := c.cutPower(t, i, cuts, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Errorf("cut %d of %d: %v", i, cuts, err)
			return false
		}
		held.Add(1)
		return true
	})
	t.Logf("%d of %d power cuts lost nothing", held.Load(), cuts)
	if held.Load() != int64(cuts) {
		t.Error("not every cut was tried")
	}
}

func TestPowerCutsOfACarelessTable(t *testing.T) {
	const cuts = 200
	c := recordLives(t, true)
	var lost atomic.Bool
	dir := t.TempDir()
	atOnce(cuts, func(i int) bool {
		if err := c.cutPower(t, i, cuts, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			lost.Store(true)
		}
		return !lost.Load()
	})
	if !lost.Load() {
		t.Error("nothing was lost: this test could not see it")
	}
}

// recordLives records a server that is started and stopped three times.
func recordLives(t *testing.T, careless bool) *chain {
	d := newDisk(t)
	d.quick = true
	c := newChain(t, d)
	c.careless = careless
	d.record(t, c.cfg.Path)
	for life := range 3 {
		if err := c.live(life, 6); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// atOnce calls f with 0 to n-1, some at a time, until it returns false.
func atOnce(n int, f func(i int) bool) {
	var workers sync.WaitGroup
	var next atomic.Int64
	for range 4 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && f(i); i = int(next.Add(1)) - 1 {
			}
		})
	}
	workers.Wait()
}

// cutPower checks the files that the i-th of all cuts leaves; the cuts are spread over the
// whole recording.
func (c *chain) cutPower(t *testing.T, i, cuts int, dir string) error {
	rng := rand.New(rand.NewPCG(*tortureSeed, uint64(i)))
	ops := float64(len(c.d.ops) + 1)
	n := int((float64(i) + rng.Float64()) * ops / float64(cuts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "octostore.db")
	write(t, c.d.cut(n, rng), c.cfg.Path, path)
	if err := c.check(t, path, n); err != nil {
		return fmt.Errorf("after %d of %d operations: %w", n, len(c.d.ops), err)
	}
	return nil
}

package sqlite

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// fault makes operations of one kind fail from the n-th on.
type fault struct {
	kind  string
	n     int
	times int
	code  int32
	seen  map[string]int // operations by kind
}

func (f *fault) check(op diskOp) int32 {
	f.seen[op.kind]++
	n := f.seen[op.kind]
	if op.kind != f.kind || n < f.n || n-f.n >= f.times {
		return 0
	}
	return f.code
}

func (f *fault) String() string {
	return fmt.Sprintf("%s %d fails %d times with code %d", f.kind, f.n, f.times, f.code)
}

// faults are the faults of the databases in use at once.
type faults struct {
	mu     sync.Mutex
	byMain map[string]*fault
}

func (f *faults) set(main string, one *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byMain[main] = one
}

// check is called by the disk, one operation at a time.
func (f *faults) check(op diskOp) int32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, suffix := range []string{"", "-wal", "-journal"} {
		main := op.path[:max(0, len(op.path)-len(suffix))]
		if one := f.byMain[main]; one != nil && main+suffix == op.path {
			return one.check(op)
		}
	}
	return 0
}

// aFault picks a random fault from all that can hit an operation of a run.
func aFault(rng *rand.Rand, seen map[string]int) *fault {
	kinds := []struct {
		kind string
		code int32
	}{
		{"write", sqlite3.SQLITE_IOERR_WRITE},
		{"write", conn.CodeFull},
		{"write", conn.CodeFull},
		{"sync", sqlite3.SQLITE_IOERR_FSYNC},
		{"truncate", sqlite3.SQLITE_IOERR_TRUNCATE},
		{"open", sqlite3.SQLITE_CANTOPEN},
		{"delete", sqlite3.SQLITE_IOERR_DELETE},
	}
	k := kinds[rng.IntN(len(kinds))]
	times := []int{1, 3, math.MaxInt}[rng.IntN(3)]
	if k.code == conn.CodeFull {
		times = 1 + rng.IntN(3) // then there is space again
	}
	return &fault{kind: k.kind, n: 1 + rng.IntN(max(1, seen[k.kind])), times: times, code: k.code, seen: make(map[string]int)}
}

// If any operation of the disk fails, the server goes on, or stops and says that it does
// not know. What clients were told holds before and after.
func TestSingleFaults(t *testing.T) {
	runs := amount("torture.faults", *tortureFaults, 30)
	d := newDisk(t)
	d.quick = true
	all := &faults{byMain: make(map[string]*fault)}
	d.failing(all.check)

	var held, full, unknown, unstarted atomic.Int64
	run := func(f *fault) error {
		c := newChain(t, d)
		all.set(c.cfg.Path, f)
		for life := range 2 {
			c.tab = nil
			err := c.live(life, 2)
			if err != nil && f.kind == "" {
				t.Error(err)
			}
			if c.tab == nil {
				unstarted.Add(1)
			}
		}
		all.set(c.cfg.Path, nil)
		for _, commit := range c.commits {
			switch {
			case errors.Is(commit.err, lock.ErrFull):
				full.Add(1)
			case commit.err != nil:
				unknown.Add(1)
			}
		}
		return c.check(t, c.cfg.Path, math.MaxInt)
	}
	none := &fault{seen: make(map[string]int)}
	if err := run(none); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d, operations %v", *tortureSeed, none.seen)
	atOnce(runs, func(i int) bool {
		f := aFault(rand.New(rand.NewPCG(*tortureSeed, uint64(i))), none.seen)
		err := run(f)
		if err != nil {
			t.Errorf("run %d, %s: %v", i, f, err)
			return false
		}
		held.Add(1)
		return true
	})
	if held.Load() != int64(runs) {
		t.Errorf("%d of %d faults were tried", held.Load(), runs)
	}
	t.Logf("%d faults: %d commits found no space, the outcome of %d was unknown, %d starts failed", held.Load(), full.Load(), unknown.Load(), unstarted.Load())
	const enough = 100 // fewer runs may miss a kind of failure by chance
	if runs >= enough && (full.Load() == 0 || unknown.Load() == 0 || unstarted.Load() == 0) {
		t.Error("not every kind of failure was tried")
	}
}

package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/storetest"
)

// acked is a state that the store reported as durable.
type acked struct {
	ops  int // of the disk when it said so
	head lock.Head
	held int
}

// history commits to a recorded disk and returns what was reported durable when.
func history(t *testing.T, d *disk, s *Store, commits int) []acked {
	storetest.Load(t, s)
	d.record(t, s.path)
	told := []acked{{}}
	var line storetest.Line
	held := make(map[lock.Name]bool)
	for i := range commits {
		var rows []lock.Row
		for j := range 1 + i%4 {
			name := lock.Name(fmt.Sprintf("l/%d", (7*i+j)%60))
			if held[name] {
				rows = append(rows, storetest.Free(name))
				delete(held, name)
			} else {
				rows = append(rows, storetest.Row(name, line.Head.Seq+1, time.Minute))
				held[name] = true
			}
		}
		line.Commit(t, s, len(rows), rows...)
		told = append(told, acked{d.done(), line.Head, len(held)})
		if i%25 == 24 { // now and then the WAL starts over
			s.mu.Lock()
			err := s.checkpointRest()
			s.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return told
}

// lost opens the files that a power cut after n operations left, and returns how their
// state breaks the promise, or nil.
func lost(t *testing.T, d *disk, s *Store, told []acked, n int, rng *rand.Rand) error {
	path := newPath(t)
	for name, b := range d.cut(n, rng) {
		if err := os.WriteFile(path+strings.TrimPrefix(name, s.path), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer os.RemoveAll(path)
	after, err := Open(t.Context(), Config{Path: path, walSize: -1, Reserve: -1})
	if err != nil {
		return err
	}
	defer after.Close()
	snap, err := after.Load(t.Context())
	if err != nil {
		return err
	}
	newest := 0
	for newest+1 < len(told) && told[newest+1].ops <= n {
		newest++
	}
	for _, possible := range told[newest:min(newest+2, len(told))] {
		if snap.Head == possible.head && len(snap.Leases) == possible.held {
			return nil
		}
	}
	return fmt.Errorf("head %d with %d leases after it said %d with %d was durable",
		snap.Head.Seq, len(snap.Leases), told[newest].head.Seq, told[newest].held)
}

func TestPowerCuts(t *testing.T) {
	const cuts = 150
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	count := func(t *testing.T, careless bool) (losses []error) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := newDisk(t)
		s := open(t, Config{Path: newPath(t), walSize: 64 << 10})
		if careless {
			if err := s.w.Exec("PRAGMA synchronous = NORMAL"); err != nil {
				t.Fatal(err)
			}
		}
		told := history(t, d, s, 100)
		ops := d.done()
		for range cuts {
			if err := lost(t, d, s, told, rng.IntN(ops+1), rng); err != nil {
				losses = append(losses, err)
			}
		}
		return losses
	}
	t.Run("lose nothing that was acknowledged", func(t *testing.T) {
		for _, err := range count(t, false) {
			t.Error(err)
		}
	})
	t.Run("would lose something if commits did not wait for the disk", func(t *testing.T) {
		if len(count(t, true)) == 0 {
			t.Error("nothing was lost: this test could not see it")
		}
	})
}

// A write of a commit that fails for lack of space leaves the store as it was, whichever
// write it is.
func TestFullDiskAtAnyWrite(t *testing.T) {
	d := newDisk(t)
	s := open(t, Config{Path: newPath(t), walSize: 64 << 10})
	storetest.Load(t, s)
	var line storetest.Line
	held := storetest.Row("held", 1, time.Minute)
	line.Commit(t, s, 1, held)

	for n := 0; ; n++ {
		left := n
		d.failing(func(op diskOp) int32 {
			if op.kind != "write" {
				return 0
			}
			if left--; left < 0 {
				return conn.CodeFull
			}
			return 0
		})
		b := line.Batch(3, storetest.Free("held"), storetest.Row("a", 2, time.Minute), storetest.Row("b", 3, time.Minute))
		err := s.Commit(t.Context(), b)
		d.failing(nil)
		if err == nil {
			if n < 1 { // all pages at once, after the header if the log begins again
				t.Fatalf("the commit succeeded without its write %d", n)
			}
			break
		}
		if !errors.Is(err, lock.ErrFull) {
			t.Fatalf("commit without its write %d = %v, want ErrFull", n, err)
		}
		// The store is clean, and the aborted commit does not come back.
		line.Commit(t, s, 1)
		crashed := newPath(t)
		copyFile(t, s.path, crashed)
		copyFile(t, s.path+"-wal", crashed+"-wal")
		snap := storetest.Load(t, open(t, Config{Path: crashed}))
		storetest.CheckLeases(t, snap, held)
		if snap.Head != line.Head {
			t.Fatalf("after write %d failed: head = %v, want %v", n, snap.Head, line.Head)
		}
	}
}

// If the rows of another boot cannot be rewritten for lack of space, the store frees its
// reserve.
func TestFullDiskAtAdoption(t *testing.T) {
	d := newDisk(t)
	fake := &fakeClocks{wall: time.Now(), boot: time.Hour, id: "first"}
	cfg := Config{Path: newPath(t), clocks: fake.clocks()}
	s := open(t, cfg)
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1, storetest.Row("held", 1, time.Minute))
	fake.id = "second"
	s = reopen(t, s, cfg)
	d.failing(func(op diskOp) int32 {
		if _, err := os.Stat(cfg.Path + "-ballast"); err == nil && op.kind == "write" {
			return conn.CodeFull
		}
		return 0
	})
	defer d.failing(nil)
	if n := len(storetest.Load(t, s).Leases); n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
	if !s.Full() {
		t.Error("Full() = false")
	}
}

// After a failed write or sync the content of the disk is unknown. The store says so and
// accepts nothing more; the next start finds out.
func TestUnknownOutcome(t *testing.T) {
	for _, test := range []struct {
		kind string
		code int32
	}{
		{"write", sqlite3.SQLITE_IOERR_WRITE},
		{"sync", sqlite3.SQLITE_IOERR_FSYNC},
	} {
		t.Run(test.kind, func(t *testing.T) {
			d := newDisk(t)
			cfg := Config{Path: newPath(t)}
			s := open(t, cfg)
			storetest.Load(t, s)
			var line storetest.Line
			held := storetest.Row("held", 1, time.Minute)
			line.Commit(t, s, 1, held)

			d.failing(func(op diskOp) int32 {
				if op.kind == test.kind {
					return test.code
				}
				return 0
			})
			b := line.Batch(1, storetest.Row("new", 2, time.Minute))
			err := s.Commit(t.Context(), b)
			if err == nil || errors.Is(err, lock.ErrFull) || errors.Is(err, lock.ErrDeposed) {
				t.Fatalf("commit = %v, want an error that says nothing about the outcome", err)
			}
			d.failing(nil)
			if err := s.Commit(t.Context(), b); err == nil {
				t.Error("the store went on")
			}
			if _, err := s.Segments(t.Context(), 0, 10); err != nil {
				t.Errorf("what was committed cannot be read: %v", err)
			}

			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if _, wal := s.Sizes(); wal == 0 {
				t.Error("the WAL was not left to the next start")
			}
			snap := storetest.Load(t, open(t, cfg))
			if snap.Head != line.Head && snap.Head != b.Next {
				t.Errorf("head = %v, want %v or %v", snap.Head, line.Head, b.Next)
			}
			if snap.Head == line.Head {
				storetest.CheckLeases(t, snap, held)
			}
		})
	}
}

// A failed checkpoint has the same effect.
func TestCheckpointFailureStopsTheStore(t *testing.T) {
	d := newDisk(t)
	cfg := Config{Path: newPath(t)}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	d.failing(func(op diskOp) int32 {
		if op.kind == "sync" && op.path == s.path {
			return sqlite3.SQLITE_IOERR_FSYNC
		}
		return 0
	})
	mover, err := openCheckpointer(s.path)
	if err != nil {
		t.Fatal(err)
	}
	s.checkpoint(mover)
	mover.Close()
	d.failing(nil)
	if err := s.Commit(t.Context(), line.Batch(1)); err == nil {
		t.Error("the store went on")
	}
	if got := storetest.Load(t, reopen(t, s, cfg)).Head; got != line.Head {
		t.Errorf("head = %v, want %v", got, line.Head)
	}
}

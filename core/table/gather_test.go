package table

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A batch waits for half of a crowd, a moment at most, and never for a few callers.
func TestGatherWaitsForACrowd(t *testing.T) {
	const crowded = 2 * gatherLeast // commands of each of the last batches: 3/2 of it are wanted
	const wanted = 3 * gatherLeast
	put := func(n int) func(*inbox) {
		return func(b *inbox) {
			for range n {
				if err := b.put(&lock.Command{}); err != nil {
					panic(err)
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		sizes  [3]int
		before func(*inbox) // what is there already
		during func(*inbox) // what comes after half of the time
		waits  time.Duration
	}{
		{"a caller alone", [3]int{1, 1, 1}, put(1), put(0), 0},
		{"a few callers", [3]int{10, 11, 10}, put(3), put(0), 0},
		{"a crowd that is late", [3]int{crowded, crowded, crowded}, put(3), put(wanted - 4), gatherMost},
		{"a crowd that comes", [3]int{crowded, crowded, crowded}, put(3), put(wanted - 3), gatherMost / 2},
		{"a crowd that is there", [3]int{crowded, crowded, crowded}, put(wanted), put(0), 0},
		{"more than a batch", [3]int{1e6, 1e6, 1e6}, put(lock.BatchSteps), put(0), 0},
		{"a departure before", [3]int{crowded, crowded, crowded}, func(b *inbox) { b.leave(lock.Departure{}) }, put(0), 0},
		{"a departure", [3]int{crowded, crowded, crowded}, put(3), func(b *inbox) { b.leave(lock.Departure{}) }, gatherMost / 2},
		{"the end before", [3]int{crowded, crowded, crowded}, func(b *inbox) { b.close(lock.ErrClosed) }, put(0), 0},
		{"the end", [3]int{crowded, crowded, crowded}, put(3), func(b *inbox) { b.close(lock.ErrClosed) }, gatherMost / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := &Table{inbox: newInbox(), crowd: crowd{sizes: c.sizes}}
				c.before(table.inbox)
				var more sync.WaitGroup
				more.Go(func() {
					time.Sleep(gatherMost / 2)
					c.during(table.inbox)
				})
				defer more.Wait()
				began := time.Now()
				table.gather(time.NewTimer(time.Hour))
				if took := time.Since(began); took != c.waits {
					t.Errorf("a batch waits %v, want %v", took, c.waits)
				}
			})
		})
	}
}

// A batch that has waited leaves nothing behind: the next command alone wakes the loop.
func TestGatherLosesNoWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &Table{inbox: newInbox(), crowd: crowd{sizes: [3]int{99, 99, 99}}}
		table.gather(time.NewTimer(time.Hour))
		table.inbox.take(nil, nil)
		if err := table.inbox.put(&lock.Command{}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-table.inbox.wake:
		default:
			t.Error("a command does not wake the loop")
		}
	})
}

// The size of a crowd is that of the last three batches.
func TestCrowdIsForgotten(t *testing.T) {
	var c crowd
	for _, n := range []int{90, 30, 20, 10} {
		c.took(n)
	}
	if c.half() != 30 {
		t.Errorf("half of the last batches is %d, want 30", c.half())
	}
	for range 3 {
		c.took(1)
	}
	if c.half() >= gatherLeast {
		t.Errorf("a crowd that has gone is waited for: %d", c.half())
	}
}

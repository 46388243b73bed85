package table

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// buffers returns the capacities of what is used again from batch to batch. The table
// must be at rest.
func buffers(tab *Table) map[string]int {
	return map[string]int{
		"rows": cap(tab.rows), "shown": cap(tab.shown),
		"pending": cap(tab.pending), "left": cap(tab.left), "inbox": cap(tab.inbox.commands), "leaving": cap(tab.inbox.leaving),
	}
}

func checkBuffers(t *testing.T, after string, tab *Table) {
	t.Helper()
	if size := tab.m.LargestBuffer(); size > mostReused {
		t.Errorf("after %s the machine has a buffer with room for %d, want at most %d", after, size, mostReused)
	}
	for name, size := range buffers(tab) {
		if size > mostReused {
			t.Errorf("after %s the buffer %s has room for %d, want at most %d", after, name, size, mostReused)
		}
	}
}

// The buffers of a large start, of many departures at once and of a drain are not kept.
func TestBuffersOfLargeBatchesAreNotKept(t *testing.T) {
	const many = mostReused + 1000
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		for i := range many {
			name := lock.Name(fmt.Sprintf("n%06d", i))
			d.rows[name] = lock.Row{Name: name, Lease: &lock.Lease{Name: name, Token: 1, Account: "acme", TTL: time.Hour, ExpiresAt: time.Now().Add(time.Hour)}}
		}
		tab, err := Open(t.Context(), d, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer tab.Close()
		synctest.Wait()
		checkBuffers(t, "a start", tab)

		gate := make(chan struct{})
		d.set(gate, nil)
		go tab.Append(t.Context(), lock.Event{Kind: lock.Started})
		synctest.Wait() // the loop is busy while they come
		var all []<-chan outcome
		for i := range many {
			all = append(all, tab.start(t.Context(), wait(lock.Name(fmt.Sprintf("n%06d", i)), 30*time.Minute)))
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		checkBuffers(t, "many arrivals", tab)

		tab.Drain()
		for _, c := range all {
			if o := <-c; !errors.Is(o.err, lock.ErrDraining) {
				t.Fatal(o.err)
			}
		}
		synctest.Wait()
		checkBuffers(t, "a drain", tab)
	})
}

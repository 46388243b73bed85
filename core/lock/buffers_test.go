package lock

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
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
	if size := tab.m.largestBuffer(); size > mostReused {
		t.Errorf("after %s the machine has a buffer with room for %d, want at most %d", after, size, mostReused)
	}
	for name, size := range buffers(tab) {
		if size > mostReused {
			t.Errorf("after %s the buffer %s has room for %d, want at most %d", after, name, size, mostReused)
		}
	}
}

// What a large start, many departures at once and a drain needed is not kept for good.
func TestBuffersOfLargeBatchesAreNotKept(t *testing.T) {
	const many = mostReused + 1000
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		for i := range many {
			name := Name(fmt.Sprintf("n%06d", i))
			d.rows[name] = Row{Name: name, Lease: &Lease{Name: name, Token: 1, Account: "acme", TTL: time.Hour, ExpiresAt: time.Now().Add(time.Hour)}}
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
		go tab.Append(t.Context(), Event{Kind: Started})
		synctest.Wait() // the loop is busy while they come
		var all []<-chan outcome
		for i := range many {
			all = append(all, tab.start(t.Context(), wait(Name(fmt.Sprintf("n%06d", i)), 30*time.Minute)))
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		checkBuffers(t, "many arrivals", tab)

		tab.Drain()
		for _, c := range all {
			if o := <-c; !errors.Is(o.err, ErrDraining) {
				t.Fatal(o.err)
			}
		}
		synctest.Wait()
		checkBuffers(t, "a drain", tab)
	})
}

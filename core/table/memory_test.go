package table

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// heldKinds are acquires as clients send them: the texts of a request are parts of its first
// line, which is much longer.
var heldKinds = []struct {
	name    string
	acquire func(i int) lock.Acquisition
}{
	{"bare", func(i int) lock.Acquisition {
		line := strings.Clone(fmt.Sprintf("POST /v1/locks/hold/%07d/acquire?ttl=10m HTTP/1.1", i))
		return lock.Acquisition{Origin: me, Name: lock.Name(line[15:27]), TTL: time.Hour}
	}},
	{"holder", func(i int) lock.Acquisition {
		line := strings.Clone(fmt.Sprintf("POST /v1/locks/hold/%07d/acquire?ttl=10m&holder=runner-17/job-%07d HTTP/1.1", i, i))
		return lock.Acquisition{Origin: me, Name: lock.Name(line[15:27]), Holder: line[50:71], TTL: time.Hour}
	}},
	{"key", func(i int) lock.Acquisition {
		a := lock.Acquisition{Origin: me, Name: lock.Name(fmt.Sprintf("hold/%07d", i)), TTL: time.Hour}
		a.Attempt, _ = lock.NewAttempt(fmt.Sprintf("attempt-%016d", i), a.TTL, 0, "", nil)
		return a
	}},
}

// hold acquires locks by many clients at a time.
func hold(t testing.TB, table *Table, locks int, acquire func(i int) lock.Acquisition) {
	t.Helper()
	const clients = 64
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for i := client; i < locks; i += clients {
				if _, err := table.Acquire(context.Background(), acquire(i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// liveHeap returns the bytes of the heap that are in use.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A held lock takes at most 350 bytes of the heap, with its name, holder and key.
func TestHeldLockTakesLittleMemory(t *testing.T) {
	const locks = 10_000
	for _, kind := range heldKinds {
		before := liveHeap()
		table := openNowhere(t)
		hold(t, table, locks, kind.acquire)
		each := (liveHeap() - before) / locks
		t.Logf("%s: %d bytes", kind.name, each)
		if each > 350 {
			t.Errorf("%s: a held lock takes %d bytes of heap", kind.name, each)
		}
		table.Close()
	}
}

// BenchmarkHeldLocks reports the heap of a held lock in the table, of a million of them.
func BenchmarkHeldLocks(b *testing.B) {
	for _, kind := range heldKinds {
		b.Run(kind.name, func(b *testing.B) {
			const locks = 1_000_000
			for b.Loop() {
				before := liveHeap()
				t := openNowhere(b)
				hold(b, t, locks, kind.acquire)
				b.ReportMetric(float64(liveHeap()-before)/locks, "B/lock")
				runtime.KeepAlive(t)
				t.Close()
			}
		})
	}
}

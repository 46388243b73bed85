package journal_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write commits and publishes batches of n events each and returns the last number.
func write(t *testing.T, j *journal.Journal, first lock.Seq, sizes ...int) lock.Seq {
	t.Helper()
	seq := first
	for _, n := range sizes {
		b := &lock.Batch{}
		for range n {
			b.Events = append(b.Events, lock.Event{Seq: seq, Time: journaltest.Noon, Kind: lock.Started})
			seq++
		}
		if err := j.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		j.Publish()
	}
	return seq - 1
}

func hash(line string) string {
	sum := sha256.Sum256([]byte(line))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// The chain goes on over batches and restarts.
func TestChainGoesOnAfterARestart(t *testing.T) {
	j, store := journaltest.Open(t)
	last := write(t, j, 100, 3, 1)
	again := journal.New(store)
	if _, err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, again, last+1000, 2)
	segments, err := again.Scan(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	prev := ""
	n := 0
	for _, s := range segments {
		for line := range strings.Lines(string(s.Bytes)) {
			var got struct{ Prev string }
			if err := json.Unmarshal([]byte(line), &got); err != nil || got.Prev != prev {
				t.Fatalf("line %d: prev %q, want %q (%v)", n, got.Prev, prev, err)
			}
			prev = hash(strings.TrimSuffix(line, "\n"))
			n++
		}
	}
	if n != 6 {
		t.Errorf("read %d lines, want 6", n)
	}
}

func TestChainIsUnchangedByARefusedBatch(t *testing.T) {
	store := &refusing{Store: memory.New()}
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, j, 1, 1)
	store.refuse.Store(true)
	b := &lock.Batch{Events: []lock.Event{{Seq: 2, Time: journaltest.Noon, Kind: lock.Started}}}
	if err := j.Commit(t.Context(), b); !errors.Is(err, lock.ErrFull) {
		t.Fatal(err)
	}
	j.Publish()
	if j.Head() != 1 {
		t.Errorf("the head is %d", j.Head())
	}
	store.refuse.Store(false)
	write(t, j, 3, 1)
	if segments, err := j.Scan(t.Context(), 1, 10); err != nil || len(segments) != 1 || segments[0].First != 3 {
		t.Errorf("got %v, %v", segments, err)
	}
}

type refusing struct {
	journal.Store
	refuse atomic.Bool
}

func (r *refusing) Commit(ctx context.Context, b *lock.Batch) error {
	if r.refuse.Load() {
		return lock.ErrFull
	}
	return r.Store.Commit(ctx, b)
}

// A reader sees nothing before it is published, whether it reads memory or the store.
func TestReaderStopsAtThePublishedHead(t *testing.T) {
	j, _ := journaltest.Open(t)
	write(t, j, 1, 2)
	b := &lock.Batch{Events: []lock.Event{{Seq: 3, Time: journaltest.Noon, Kind: lock.Started}}}
	if err := j.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, after := range []lock.Seq{0, 1, 2} {
		segments, err := j.Scan(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range segments {
			if s.Last > 2 {
				t.Errorf("after %d: reads %d, which is not published", after, s.Last)
			}
		}
	}
	j.Publish()
	if segments, _ := j.Scan(t.Context(), 2, 100); len(segments) != 1 {
		t.Error("what is published cannot be read")
	}
}

// Reading by cursor gives every event once, from memory, from the store, and across
// the border between them.
func TestScanningIsCompleteFromAnyCursor(t *testing.T) {
	j, _ := journaltest.Open(t)
	sizes := make([]int, 0, 300)
	for i := range 300 {
		sizes = append(sizes, 1+i%40) // more than the ring holds
	}
	last := write(t, j, 1, sizes...)
	if last < journal.RingEvents+1000 {
		t.Fatalf("only %d events: the store is never read", last)
	}
	for _, start := range []lock.Seq{0, 1, 17, last - journal.RingEvents - 50, last - journal.RingEvents, last - 1000, last - 1, last} {
		for _, page := range []int{1, 7, 1000, 1 << 20} {
			cursor := start
			for {
				segments, err := j.Scan(t.Context(), cursor, page)
				if err != nil {
					t.Fatal(err)
				}
				if len(segments) == 0 {
					break
				}
				for i, s := range segments {
					if s.Last <= cursor || i > 0 && s.First != cursor+1 || i == 0 && s.First > cursor+1 {
						t.Fatalf("from %d by %d: segment %d–%d after %d", start, page, s.First, s.Last, cursor)
					}
					cursor = s.Last
				}
			}
			if cursor != last {
				t.Errorf("from %d by %d: ended at %d of %d", start, page, cursor, last)
			}
		}
	}
}

func TestWaitingReadersAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := journaltest.Open(t)
		woken := make(chan error, 100)
		for range cap(woken) {
			go func() { woken <- j.Wait(t.Context(), 5) }()
		}
		synctest.Wait()
		write(t, j, 1, 5)
		synctest.Wait()
		if len(woken) != 0 {
			t.Fatal("woken although there is nothing new")
		}
		write(t, j, 6, 1)
		synctest.Wait()
		if len(woken) != cap(woken) {
			t.Fatalf("%d of %d woke up", len(woken), cap(woken))
		}
		for range cap(woken) {
			if err := <-woken; err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { woken <- j.Wait(ctx, 6) }()
		go func() { woken <- j.Wait(context.Background(), 6) }()
		synctest.Wait()
		cancel()
		if err := <-woken; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		j.Close()
		if err := <-woken; !errors.Is(err, journal.ErrClosed) {
			t.Error(err)
		}
	})
}

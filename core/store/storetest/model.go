package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

var equateEmpty = cmpopts.EquateEmpty()

// segmenter is the reading half of a store.
type segmenter interface {
	Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error)
}

// testModel commits random batches to the store and to a map, and compares.
func testModel(t *testing.T, f Fixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	model := make(map[lock.Name]lock.Row)
	var line Line
	s := f.Store
	Load(t, s)
	for round := range 8 {
		for range 25 {
			rows := randomRows(rng, line.Head.Seq)
			line.Commit(t, s, max(1, len(rows)), rows...)
			for _, r := range rows {
				model[r.Name] = r
				if r.Lease == nil {
					delete(model, r.Name)
				}
			}
		}
		s = f.Reopen()
		snap := Load(t, s)
		if snap.Head != line.Head {
			t.Fatalf("round %d: head = %v, want %v", round, snap.Head, line.Head)
		}
		var want []lock.Row
		for _, name := range slices.Sorted(maps.Keys(model)) {
			want = append(want, model[name])
		}
		CheckLeases(t, snap, want...)
	}
	checkChain(t, s, line.Head)
}

// randomRows returns up to 40 rows, each name once.
func randomRows(rng *rand.Rand, head lock.Seq) (rows []lock.Row) {
	for i, n := range rng.Perm(100)[:rng.IntN(40)] {
		name := lock.Name(fmt.Sprintf("%s/%d", []string{"lock", "@l~o+c:k", strings.Repeat("n", lock.MaxSegment)}[n%3], n))
		if rng.IntN(3) == 0 {
			rows = append(rows, Free(name))
			continue
		}
		r := Row(name, head+lock.Seq(i)+1, time.Duration(1+rng.IntN(3600))*time.Second)
		if rng.IntN(2) == 0 {
			r.Lease.Metadata = map[string]string{"n": fmt.Sprint(n)}
		}
		if rng.IntN(2) == 0 {
			r.Attempt.Key[rng.IntN(32)] = byte(1 + rng.IntN(255))
		}
		rows = append(rows, r)
	}
	return rows
}

// testConcurrentReads follows the journal from several goroutines while it grows.
func testConcurrentReads(t *testing.T, f Fixture) {
	Load(t, f.Store)
	const last = 1000 // events
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers sync.WaitGroup
	var grown []chan struct{} // one for each reader, told after each commit
	for page := range 4 {
		told := make(chan struct{}, 1)
		grown = append(grown, told)
		readers.Go(func() { follow(ctx, t, f.Store, 1+10*page, last, told) })
	}
	var line Line
	for line.Head.Seq < last {
		line.Commit(t, f.Store, 5, Row(lock.Name(fmt.Sprintf("l/%d", line.Head.Seq%7)), line.Head.Seq+1, time.Minute))
		for _, told := range grown {
			select {
			case told <- struct{}{}:
			default:
			}
		}
	}
	readers.Wait()
	checkChain(t, f.Store, line.Head)
}

// follow reads up to the event last. It waits for a signal when there is nothing new.
func follow(ctx context.Context, t *testing.T, s segmenter, events int, last lock.Seq, told <-chan struct{}) {
	for after := lock.Seq(0); after < last; {
		segments, err := s.Segments(ctx, after, events)
		if err != nil {
			t.Error(err)
			return
		}
		for _, g := range segments {
			if g.First != after+1 {
				t.Errorf("segment %d–%d follows event %d", g.First, g.Last, after)
				return
			}
			after = g.Last
		}
		if len(segments) > 0 {
			continue
		}
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
	}
}

// checkChain compares the segments with the bytes that the line has written.
func checkChain(t testing.TB, s segmenter, head lock.Head) {
	t.Helper()
	var line Line
	for line.Head.Seq < head.Seq {
		page, err := s.Segments(t.Context(), line.Head.Seq, 64)
		if err != nil || len(page) == 0 {
			t.Fatalf("no segment after %d: %v", line.Head.Seq, err)
		}
		for _, g := range page {
			want := line.Batch(g.Count)
			if string(g.Bytes) != string(want.Segment.Bytes) || g.First != want.Segment.First || g.Last != want.Segment.Last {
				t.Fatalf("segment %d–%d is not what was committed", g.First, g.Last)
			}
			line.Head = want.Next
		}
	}
	if line.Head != head {
		t.Errorf("the segments lead to head %v, want %v", line.Head, head)
	}
}

// Pages have few large segments, and a segment larger than a page comes alone.
func testPages(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	var ends []lock.Seq
	for _, events := range []int{1000, 1000, 1000, 4000, 1, 1} { // of a hundred bytes and more
		ends = append(ends, line.Commit(t, f.Store, events).Segment.Last)
	}
	var after lock.Seq
	for _, want := range []lock.Seq{ends[1], ends[2], ends[3], ends[5]} {
		page, err := f.Store.Segments(t.Context(), after, 1<<20)
		if err != nil || len(page) == 0 {
			t.Fatalf("after %d: %d segments, %v", after, len(page), err)
		}
		bytes := 0
		for _, g := range page {
			bytes += len(g.Bytes)
			after = g.Last
		}
		if after != want || len(page) > 1 && bytes > journal.PageBytes {
			t.Errorf("%d segments of %d bytes up to %d, want up to %d", len(page), bytes, after, want)
		}
	}
}

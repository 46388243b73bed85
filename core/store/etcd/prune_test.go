package etcd

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// segmentKeys returns how many segments etcd has.
func segmentKeys(t *testing.T, r *records) int64 {
	t.Helper()
	found, err := r.get(t.Context(), r.keys.segments(), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return found.Count
}

// usedBytes returns what [records.Used] says.
func usedBytes(t *testing.T, r *records) int64 {
	t.Helper()
	used, err := r.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// checkReadFrom checks that readers find what follows a cut, from either end, and nothing else.
func checkReadFrom(t *testing.T, r *records, cut lock.Head) {
	t.Helper()
	forward, err := storetest.Drain(t.Context(), r, 0, 2)
	if err != nil || len(forward) == 0 || forward[0].First != cut.Seq+1 {
		t.Errorf("what is read of %d segments does not begin behind the cut at %d, %v", len(forward), cut.Seq, err)
	}
	for _, before := range []lock.Seq{r.head.Seq + 1, cut.Seq + 2, cut.Seq + 1} {
		back, err := r.SegmentsBefore(t.Context(), before, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range back {
			if g.Last <= cut.Seq {
				t.Errorf("before %d it has a segment up to %d, which is cut off at %d", before, g.Last, cut.Seq)
			}
		}
	}
}

// A node that lost the term may still ask for the segment of its last batch, so the segments
// of earlier terms stay for the first hour. Readers and the size see the cut at once.
func TestEtcdPruneLeavesEarlierTermsForAnHour(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	var heads []lock.Head
	commit := func(n int) {
		for range n {
			line.Commit(t, r, 2)
			heads = append(heads, line.Head)
		}
	}
	commit(10)
	whole := usedBytes(t, r)
	r = k.take()
	storetest.Load(t, r)
	if got := usedBytes(t, r); got != whole {
		t.Errorf("another owner finds %d bytes, want %d", got, whole)
	}
	commit(10)
	prune := func(n int) {
		t.Helper()
		if err := r.Prune(t.Context(), heads[n]); err != nil {
			t.Fatal(err)
		}
	}
	prune(4)
	if got := segmentKeys(t, r); got != 20 {
		t.Errorf("%d segments are left, want all 20", got)
	}
	prune(14)
	if got := segmentKeys(t, r); got != 15 {
		t.Errorf("%d segments are left, want the 10 of the earlier term and 5", got)
	}
	checkReadFrom(t, r, heads[14])
	if got := usedBytes(t, r); got > whole*6/10 || got < whole*4/10 {
		t.Errorf("5 segments use %d bytes, 10 used %d", got, whole)
	}
	clock := r.clock
	r.clock = func() time.Duration { return clock() + oldTermsStay }
	prune(14)
	if got := segmentKeys(t, r); got != 5 {
		t.Errorf("%d segments are left after an hour, want 5", got)
	}
	if cut, err := k.take().Cut(t.Context()); err != nil || cut != heads[14] {
		t.Errorf("the cut is %v, %v, want %v", cut, err, heads[14])
	}
	if err := r.Prune(t.Context(), heads[15]); err == nil {
		t.Error("a former owner prunes")
	}
	if got := segmentKeys(t, r); got != 5 {
		t.Errorf("a former owner left %d segments", got)
	}
}

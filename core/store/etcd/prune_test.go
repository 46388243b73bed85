package etcd

import (
	"errors"
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

// Nodes that are restarted again and again must not fill etcd: what earlier terms wrote is deleted
// an hour or two after they have ended, also if no term lasts that long.
func TestEtcdPruneWhileTermsAreShort(t *testing.T) {
	k := newTerms(t)
	var line storetest.Line
	var now time.Duration
	const lasts, segments = 20 * time.Minute, 3
	var most int64
	for term := range 24 {
		r := k.take()
		r.taken = now
		r.clock = func() time.Duration { return now }
		storetest.Load(t, r)
		before := line.Head
		for range segments {
			line.Commit(t, r, 2)
		}
		for end := now + lasts; now < end; now += lasts / 4 {
			if _, err := r.agePast(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if term == 0 {
			continue
		}
		if err := r.Prune(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		have := segmentKeys(t, r)
		if most = max(most, have); time.Duration(term)*lasts < oldTermsStay && have != int64(segments*(term+1)) {
			t.Errorf("%d segments are left in term %d, want all %d for an hour", have, term, segments*(term+1))
		}
		checkReadFrom(t, r, before)
	}
	if want := int64(segments * (2*oldTermsStay/lasts + 2)); most > want {
		t.Errorf("up to %d segments were left, want at most the %d of two hours", most, want)
	}
}

// What was cut off while it had to stay is deleted later, also if nothing more is pruned.
func TestEtcdTermDeletesWhatEarlierTermsLeft(t *testing.T) {
	n := newNodes(t)
	n.agePast = 10 * time.Millisecond
	c := n.open("a")
	var line storetest.Line
	s := n.take(c)
	storetest.Load(t, s)
	line.Commit(t, s, 1)
	cut := line.Head
	line.Commit(t, s, 1)
	almost := s.sums.pastValue(past{ended: line.Head.Seq, waited: oldTermsStay - time.Second})
	if err := errors.Join(s.HandOver(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	client, k := n.client()
	if _, err := client.Put(t.Context(), k.past(), almost); err != nil {
		t.Fatal(err)
	}
	s = n.take(c)
	began := time.Now()
	storetest.Load(t, s)
	line.Commit(t, s, 1)
	if err := s.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	for segmentKeys(t, s.records) == 3 {
		if time.Since(began) > eventually {
			t.Fatal("what was cut off is still there")
		}
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(began); took < 900*time.Millisecond || segmentKeys(t, s.records) != 2 {
		t.Errorf("after %s %d segments are left, want 2 after a second", took, segmentKeys(t, s.records))
	}
}

func TestEtcdPastCountsServedTimeOnly(t *testing.T) {
	const hour, half = oldTermsStay, oldTermsStay / 2
	for _, test := range []struct {
		before past
		lasts  time.Duration
		want   past
	}{
		{past{}, half, past{0, 100, half}},
		{past{}, hour, past{100, 100, 0}},
		{past{0, 50, half}, half - 1, past{0, 50, hour - 1}},
		{past{0, 50, half}, half, past{50, 100, half}},
		{past{0, 50, half}, hour, past{100, 100, 0}},
		{past{50, 50, 0}, half, past{50, 100, half}},
		{past{50, 70, 0}, 0, past{50, 70, 0}},
	} {
		if got := test.before.after(100, test.lasts); got != test.want {
			t.Errorf("%v in a term of %s: %v, want %v", test.before, test.lasts, got, test.want)
		}
	}
}

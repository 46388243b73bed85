package storetest

import (
	"context"
	"slices"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/octostore/octostore/core/lock"
)

// backward is the part of a store that reads from the end.
type backward interface {
	SegmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error)
}

// testBackward reads all segments from the end, in pages of different sizes.
func testBackward(t *testing.T, f Fixture) {
	s, can := f.Store.(backward)
	if !can {
		t.Fatal("it cannot be read from the end")
	}
	Load(t, f.Store)
	if page, err := s.SegmentsBefore(t.Context(), 1, 10); err != nil || len(page) > 0 {
		t.Errorf("an empty one has %d segments, %v", len(page), err)
	}
	var line Line
	for events := range 40 {
		line.Commit(t, f.Store, 1+events%7)
	}
	forward, err := Drain(t.Context(), f.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, events := range []int{1, 5, 1000} {
		var all []lock.Segment
		for before := line.Head.Seq + 1; ; {
			page, err := s.SegmentsBefore(t.Context(), before, events)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			count := 0
			for _, g := range page[:len(page)-1] {
				count += g.Count
			}
			if count >= events {
				t.Errorf("pages of %d: a page has %d events before its last segment", events, count)
			}
			all, before = append(all, page...), page[len(page)-1].First
		}
		slices.Reverse(all)
		if diff := cmp.Diff(forward, all); diff != "" {
			t.Errorf("in pages of %d: from the beginning (-), from the end (+):\n%s", events, diff)
		}
	}
}

// A start jumps ahead in the numbers, by seconds times a million.
func testJumps(t *testing.T, f Fixture) {
	s := f.Store
	Load(t, s)
	var line Line
	var want []lock.Segment
	for run, jump := range []lock.Seq{0, 1 << 51, 1 << 21, 1 << 40, 5000} {
		if run > 0 {
			s = f.Reopen()
			Load(t, s)
		}
		for n := range 3 {
			prev := line.Head
			if n == 0 {
				line.Head.Seq += jump
			}
			b := line.Batch(1 + 2*n + run%2)
			b.Prev = prev
			if err := s.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			line.Head = b.Next
			b.Segment.Time = b.Segment.Time.Round(0).UTC()
			want = append(want, b.Segment)
		}
	}
	for _, g := range want {
		for _, before := range []lock.Seq{g.First, g.First + 1, g.Last, g.Last + 1, g.Last + 1000} {
			page, err := s.(backward).SegmentsBefore(t.Context(), before, 1)
			n := sort.Search(len(want), func(i int) bool { return want[i].First >= before })
			checkFirst(t, page, err, want[max(0, n-1):n], "before", before)
		}
		for _, after := range []lock.Seq{g.First - 1, g.Last - 1, g.Last, g.Last + 1, g.Last + 1000} {
			page, err := s.Segments(t.Context(), after, 1)
			n := sort.Search(len(want), func(i int) bool { return want[i].Last > after })
			checkFirst(t, page, err, want[n:], "after", after)
		}
	}
	all, err := Drain(t.Context(), s, 0, 4)
	if err != nil || len(all) != len(want) {
		t.Errorf("%d segments, %v, want %d", len(all), err, len(want))
	}
}

// checkFirst checks the first segment of a page, or that there is none.
func checkFirst(t *testing.T, page []lock.Segment, err error, want []lock.Segment, where string, n lock.Seq) {
	t.Helper()
	if err != nil || min(len(page), 1) != min(len(want), 1) {
		t.Errorf("%s %d: %d segments, %v", where, n, len(page), err)
		return
	}
	if len(page) > 0 && (page[0].First != want[0].First || string(page[0].Bytes) != string(want[0].Bytes)) {
		t.Errorf("%s %d: segment %d, want %d", where, n, page[0].First, want[0].First)
	}
}

package storetest

import (
	"context"
	"slices"
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

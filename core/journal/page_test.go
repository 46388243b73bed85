package journal

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// filled is a ring of segments of one event with so many bytes each, from 1 on.
func filled(sizes ...int) (r ring) {
	for i, size := range sizes {
		seq := lock.Seq(i + 1)
		r.add(lock.Segment{First: seq, Last: seq, Count: 1, Bytes: []byte(strings.Repeat("x", size))})
	}
	return r
}

// A page stays in memory while a slow reader passes it on, so its size is bounded in bytes,
// not in events.
func TestRingPageIsBoundedByItsBytes(t *testing.T) {
	const half = PageBytes / 2
	r := filled(half, half, 1, PageBytes+1, 1, 1)
	for after, want := range map[lock.Seq]int{0: 2, 1: 2, 2: 1, 3: 1, 4: 2, 5: 1, 6: 0} {
		if found, ok := r.after(after, pageEvents); !ok || len(found) != want {
			t.Errorf("after %d: %d segments, %t, want %d", after, len(found), ok, want)
		}
	}
}

func TestRingIsBoundedByItsBytes(t *testing.T) {
	sizes := make([]int, 30)
	for i := range sizes {
		sizes[i] = ringBytes / 8
	}
	r := filled(sizes...)
	if len(r.segments) != 8 || r.bytes != ringBytes || r.events != 8 || r.base != 22 {
		t.Errorf("%d segments of %d bytes after %d", len(r.segments), r.bytes, r.base)
	}
	r = filled(1, 2*ringBytes)
	if len(r.segments) != 1 || r.base != 1 {
		t.Errorf("of one that is too large alone %d are kept after %d", len(r.segments), r.base)
	}
}

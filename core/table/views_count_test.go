package table

import (
	"fmt"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// A count over all accounts looks at no more names than it may, in steps that leave the
// views to others, and says at how many.
func TestViewsCountWhatIsHeldUnderAPrefix(t *testing.T) {
	const names = 2*scanStep + 7
	vs := viewsOf(names)
	show(vs, heldView("a", "other"), heldView("n000003/x", "other"), heldView("o", "other"))
	show(vs, lock.View{Name: "n000003/y", Waiters: 1}) // free, with a waiter
	for _, tt := range []struct {
		prefix             string
		most, held, looked int
	}{
		{"", 10_000, names + 3, names + 4},
		{"n", 10_000, names + 1, names + 2},
		{"n000003", 10_000, 2, 3},
		{"n000003/", 10_000, 1, 2},
		{"o", 10_000, 1, 1},
		{"none", 10_000, 0, 0},
		{"n", 5, 5, 5},
		{"n", scanStep, scanStep - 1, scanStep},
		{"n", scanStep + 1, scanStep, scanStep + 1},
		{"n", 0, 0, 0},
	} {
		if held, looked := vs.heldUnder(tt.prefix, tt.most); held != tt.held || looked != tt.looked {
			t.Errorf("%q, at most %d: %d held of %d, want %d of %d", tt.prefix, tt.most, held, looked, tt.held, tt.looked)
		}
	}
	for after, done, steps := lock.Name(""), false, 0; !done; steps++ {
		var looked int
		if _, looked, after, done = vs.countUnder("n", after, scanStep); looked > scanStep || steps > 3 {
			t.Fatalf("step %d looked at %d names", steps, looked)
		}
	}
}

// BenchmarkHeldUnder counts ten thousand of a million locks.
func BenchmarkHeldUnder(b *testing.B) {
	vs := new(views)
	for i := range 1_000_000 {
		show(vs, heldView(lock.Name(fmt.Sprintf("n%06d", i)), ""))
	}
	for b.Loop() {
		vs.heldUnder("n5", 10_000)
	}
}

// BenchmarkLookAround looks at one of a million locks.
func BenchmarkLookAround(b *testing.B) {
	vs := new(views)
	names := make([]lock.Name, 1_000_000)
	for i := range names {
		names[i] = lock.Name(fmt.Sprintf("n%06d", i))
		show(vs, heldView(names[i], ""))
	}
	i := 0
	for b.Loop() {
		i = (i + 7919*31) % len(names)
		vs.get(names[i])
	}
}

package lock

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Every page of a queue is the part of the whole that it says, whatever the classes.
func TestQueuePagesAreOfOneOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range [][PriorityCount]int{{}, {3, 0, 2}, {0, 4, 0}, {1, 1, 1}, {0, 0, 5}, {4, 3, 2}} {
		q := new(queue)
		var late []*waiter
		order := uint64(0)
		for class, n := range sizes {
			for range n {
				order++
				w := &waiter{order: order, class: Priorities()[class], request: &Acquisition{Holder: fmt.Sprint(order)}, listener: new(Command)}
				if rng.IntN(3) == 0 {
					late = append(late, w) // put back after the others
					continue
				}
				q.insert(w)
			}
		}
		for _, w := range late {
			q.insert(w)
		}
		all := q.page(0, 100)
		if len(all) != q.len() || q.len() != int(order) {
			t.Fatalf("%v: a page of all has %d of %d", sizes, len(all), q.len())
		}
		i := 0
		for w := range q.all() {
			if i++; w.order != uint64(i) || q.position(w) != i || all[i-1].Position != i || all[i-1].Holder != w.request.Holder || all[i-1].Priority != w.class {
				t.Errorf("%v: place %d is that of waiter %d, who is said to have place %d, and to be %+v", sizes, i, w.order, q.position(w), all[i-1])
			}
		}
		for skip := range len(all) + 2 {
			for limit := range len(all) + 2 {
				want := all[min(skip, len(all)):min(skip+limit, len(all))]
				if got := q.page(skip, limit); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%v: %d places after %d are %v, want %v", sizes, limit, skip, got, want)
				}
			}
		}
	}
}

// TestQueueShowsWhatHasChangedInItsFirstPage changes a queue in every way that its first page shows,
// and in one that it does not show.
func TestQueueShowsWhatHasChangedInItsFirstPage(t *testing.T) {
	const limit = 2
	q, order := new(queue), uint64(0)
	join := func(class Priority) *waiter {
		order++
		w := &waiter{order: order, class: class, request: &Acquisition{Holder: fmt.Sprint(order)}, state: listening}
		q.insert(w)
		return w
	}
	first, second := join(Normal), (*waiter)(nil)
	steps := []struct {
		what   string
		change func()
		shared bool // the page need not be made again
	}{
		{"nothing", func() {}, true},
		{"one more on the page", func() { second = join(Normal) }, false},
		{"one behind the page", func() { join(Normal) }, true},
		{"a newer request of the same attempt", func() { second.request = &Acquisition{Holder: "again"} }, false},
		{"an account", func() { second.request = &Acquisition{Holder: "again", Origin: Origin{Actor: Actor{Account: "a"}}} }, false},
		{"a reason", func() { second.request = &Acquisition{Holder: "again", Reason: "why"} }, false},
		{"metadata", func() { second.request = &Acquisition{Metadata: map[string]string{"a": "b"}} }, false},
		{"none any more", func() { second.request = &Acquisition{} }, false},
		{"a later start", func() { second.since = time.Unix(1, 0) }, false},
		{"an absent client", func() { second.state, second.due.at = absent, time.Unix(2, 0) }, false},
		{"one before the others", func() { join(Front) }, false},
		{"the first left", func() { q.remove(first) }, false},
	}
	before := q.firstPage(limit)
	for _, s := range steps {
		s.change()
		page := q.firstPage(limit)
		if want := q.page(0, limit); fmt.Sprint(page) != fmt.Sprint(want) {
			t.Errorf("after %s: %v, want %v", s.what, page, want)
		}
		if shared := &page[0] == &before[0]; shared != s.shared {
			t.Errorf("after %s: the page of before: %t, want %t", s.what, shared, s.shared)
		}
		before = page
	}
}

func TestPriorityHasAWord(t *testing.T) {
	if got := fmt.Sprint(Priorities(), Priority(0)); got != "[front normal back] normal" {
		t.Errorf("got %s", got)
	}
}

// A waiter of every class joins a queue of many, and the first of them leaves.
func BenchmarkJoinByPriority(b *testing.B) {
	for _, waiters := range []int{100, 10_000} {
		b.Run(fmt.Sprint("waiters=", waiters), func(b *testing.B) {
			m := NewMachine(Rules{MaxWaiters: 1 << 20, MaxWaitersPerLock: 1 << 20}, Snapshot{}, time.Unix(0, 0))
			join := func(p Priority) *Command {
				c := newCommand(DoAcquire, "x", me)
				a := at(wait("x", time.Hour), p)
				c.Acquire = &a
				m.do(c)
				m.clearBatch()
				return c
			}
			join(Normal) // has it
			for i := range waiters {
				join(Priorities()[i%PriorityCount])
			}
			e := m.entries["x"]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := Priorities()[i%PriorityCount]
				join(p)
				m.remove(e.queue.lines[p.class()][0])
			}
		})
	}
}

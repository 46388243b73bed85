package lock

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func at(a Acquisition, p Priority) Acquisition {
	a.Priority = p
	return a
}

// Each class says how many wait and for how long, so that one that starves shows.
func TestPriorityStatsTellWhoStarves(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		check := func(want string) {
			t.Helper()
			got := ""
			for _, q := range tab.Stats().Queues {
				got += fmt.Sprintf("%s %d %s; ", q.Priority, q.Waiters, q.Longest)
			}
			if got != want {
				t.Errorf(" got %s\nwant %s", got, want)
			}
		}
		check("front 0 0s; normal 0 0s; back 0 0s; ")
		x, y := mustAcquire(t, tab, try("x")), mustAcquire(t, tab, try("y"))
		back := tab.start(t.Context(), at(wait("x", time.Hour), Back))
		time.Sleep(time.Second)
		tab.start(t.Context(), wait("y", 3*time.Second))
		front := tab.start(t.Context(), at(wait("x", time.Hour), Front))
		time.Sleep(time.Second)
		tab.start(t.Context(), at(wait("x", 5*time.Second), Back))
		synctest.Wait()
		check("front 1 1s; normal 1 1s; back 2 2s; ")
		mustRelease(t, tab, x)
		first := <-front
		check("front 0 0s; normal 1 1s; back 2 2s; ")
		time.Sleep(2500 * time.Millisecond)
		check("front 0 0s; normal 0 0s; back 2 4.5s; ")
		mustRelease(t, tab, first.g)
		mustRelease(t, tab, (<-back).g)
		check("front 0 0s; normal 0 0s; back 0 0s; ")
		mustRelease(t, tab, y)
	})
}

// What a full disk refused has changed nothing of that.
func TestPriorityStatsSurviveARefusal(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		first := tab.start(t.Context(), at(wait("x", time.Hour), Front))
		time.Sleep(time.Second)
		tab.start(t.Context(), at(wait("x", 5*time.Second), Front))
		time.Sleep(time.Second)
		d.set(nil, ErrFull)
		if _, err := tab.Release(t.Context(), Release{Origin: me, Name: "x", LeaseID: g.LeaseID}); !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		if q := tab.Stats().Queues[0]; q.Waiters != 2 || q.Longest != 2*time.Second {
			t.Errorf("%d wait at the front, the first for %s; want 2, for 2s", q.Waiters, q.Longest)
		}
		d.set(nil, nil)
		mustRelease(t, tab, g)
		mustRelease(t, tab, (<-first).g)
	})
}

// Every page of a queue is the part of the whole that it says, whatever the classes.
func TestQueuePagesAreOfOneOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range [][classes]int{{}, {3, 0, 2}, {0, 4, 0}, {1, 1, 1}, {0, 0, 5}, {4, 3, 2}} {
		q := new(queue)
		var late []*waiter
		order := uint64(0)
		for class, n := range sizes {
			for range n {
				order++
				w := &waiter{order: order, class: Priorities()[class], ask: &Acquisition{Holder: fmt.Sprint(order)}, req: new(command)}
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
			if i++; w.order != uint64(i) || q.position(w) != i || all[i-1].Position != i || all[i-1].Holder != w.ask.Holder || all[i-1].Priority != w.class {
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

func TestPriorityHasAWord(t *testing.T) {
	if got := fmt.Sprint(Priorities(), Priority(0)); got != "[front normal back] normal" {
		t.Errorf("got %s", got)
	}
}

// A waiter of every class joins a queue of many, and the first of them leaves.
func BenchmarkJoinByPriority(b *testing.B) {
	for _, waiters := range []int{100, 10_000} {
		b.Run(fmt.Sprint("waiters=", waiters), func(b *testing.B) {
			m := newMachine(Config{MaxWaiters: 1 << 20, MaxWaitersPerLock: 1 << 20}, Snapshot{}, time.Unix(0, 0))
			join := func(p Priority) *command {
				c := newCommand(doAcquire, "x", me)
				a := at(wait("x", time.Hour), p)
				c.acquire = &a
				m.do(c)
				m.clearBatch()
				return c
			}
			join(Normal) // has it
			for i := range waiters {
				join(Priorities()[i%classes])
			}
			e := m.entries["x"]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := Priorities()[i%classes]
				join(p)
				m.remove(e.queue[p.class()][0])
			}
		})
	}
}

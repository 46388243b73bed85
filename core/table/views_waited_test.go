package table

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// namesOf returns the names of views in their order.
func namesOf(views []lock.View) (names []lock.Name) {
	for _, v := range views {
		names = append(names, v.Name)
	}
	return names
}

func TestListingByWaiting(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		for _, n := range []lock.Name{"a/free", "a/one", "a/two", "b/two"} {
			mustAcquire(t, tab, try(n))
		}
		leave := map[lock.Name]context.CancelFunc{}
		for _, n := range []lock.Name{"a/two", "a/one", "b/two", "a/two", "b/two"} {
			ctx, cancel := context.WithCancel(t.Context())
			leave[n] = cancel
			tab.start(ctx, wait(n, time.Hour))
			synctest.Wait()
			time.Sleep(time.Second)
		}
		check := func(q Query, want string) {
			t.Helper()
			q.Limit = cmp.Or(q.Limit, 10)
			views, next := tab.List(q)
			if got := fmt.Sprint(namesOf(views)); got != want || next != "" {
				t.Errorf("%+v lists %s, and next %q; want %s", q, got, next, want)
			}
		}
		check(Query{Order: ByWaiters}, "[a/two b/two a/one]")
		check(Query{Order: ByWait}, "[a/two a/one b/two]")
		check(Query{Order: ByWait, Limit: 2}, "[a/two a/one]")
		check(Query{Order: ByWaiters, Prefix: "b"}, "[b/two]")
		check(Query{Order: ByWaiters, Account: "nobody"}, "[]")
		check(Query{Order: ByWait, Visible: func(n lock.Name) bool { return n != "a/two" }}, "[a/one b/two]")
		if since := tab.Get("a/two").WaitingSince; time.Since(since) != 5*time.Second {
			t.Errorf("a/two is waited for since %s; want for 5s", time.Since(since))
		}
		leave["b/two"]()
		leave["a/one"]()
		synctest.Wait()
		check(Query{Order: ByWaiters}, "[a/two b/two]")
		if tab.Get("a/one").WaitingSince != (time.Time{}) {
			t.Error("a/one is waited for, although its waiter left")
		}
	})
}

// The wait of the lowest priority counts, too.
func TestListingByWaitLooksAtAllPriorities(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		mustAcquire(t, tab, try("x"))
		tab.start(t.Context(), at(wait("x", time.Hour), lock.Back))
		synctest.Wait()
		time.Sleep(time.Second)
		tab.start(t.Context(), at(wait("x", time.Hour), lock.Front))
		synctest.Wait()
		if since := tab.Get("x").WaitingSince; time.Since(since) != time.Second {
			t.Errorf("waited for since %s; want for 1s", time.Since(since))
		}
	})
}

// The index says what a look at all views says, whatever happened before.
func TestListingByWaitingIsThatOfAllViews(t *testing.T) {
	vs, now := new(views), time.Now()
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		name := lock.Name(fmt.Sprintf("n%03d", r.IntN(700)))
		v := lock.View{Name: name, Lease: &lock.Lease{}}
		if v.Waiters = r.IntN(4); v.Waiters > 0 {
			v.WaitingSince = now.Add(time.Duration(r.IntN(50)) * time.Second)
		} else if r.IntN(3) == 0 {
			v.Lease = nil
		}
		show(vs, v)
		if round%100 != 99 {
			continue
		}
		for _, q := range []Query{
			{Order: ByWaiters, Limit: 1000}, {Order: ByWait, Limit: 1000}, {Order: ByWait, Limit: 7},
			{Order: ByWaiters, Limit: 1000, Prefix: "n1"},
			{Order: ByWait, Limit: 1000, Visible: func(n lock.Name) bool { return n[3] == '7' }},
		} {
			if got, want := namesOf(vs.listWaited(q)), sortedByHand(vs, q); !slices.Equal(got, want) {
				t.Fatalf("round %d, %+v:\n got %v\nwant %v", round, q, got, want)
			}
		}
	}
}

// sortedByHand lists what the index is to list by a look at all views.
func sortedByHand(vs *views, q Query) []lock.Name {
	all, _ := vs.list(Query{Prefix: q.Prefix, Limit: 1_000_000, Visible: q.Visible})
	all = slices.DeleteFunc(all, func(v lock.View) bool { return v.Waiters == 0 })
	slices.SortStableFunc(all, func(a, b lock.View) int {
		if q.Order == ByWaiters {
			return cmp.Compare(b.Waiters, a.Waiters)
		}
		return a.WaitingSince.Compare(b.WaitingSince)
	})
	return namesOf(all[:min(len(all), q.Limit)])
}

// BenchmarkViewsListWaited lists the page that is asked for most, and one that few of many
// locks with waiters belong to, with 100,000 locks.
func BenchmarkViewsListWaited(b *testing.B) {
	vs, now := new(views), time.Now()
	for i := range 100_000 {
		v := lock.View{Name: lock.Name(fmt.Sprintf("team-%d/%06d", i%100, i)), Lease: &lock.Lease{}}
		if i%2 == 0 {
			v.Waiters, v.WaitingSince = 1+i%7, now.Add(time.Duration(i)*time.Millisecond)
		}
		show(vs, v)
	}
	for name, q := range map[string]Query{
		"first": {Order: ByWait, Limit: 100}, "waiters": {Order: ByWaiters, Limit: 100}, "prefix": {Order: ByWait, Limit: 1000, Prefix: "team-98/"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				vs.listWaited(q)
			}
		})
	}
}

// A change of a view changes the version, so that readers who compare it miss nothing.
func TestVersionChangesWithEachView(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		last := tab.Version()
		changed := func(after string) {
			t.Helper()
			synctest.Wait()
			now := tab.Version()
			if now == last {
				t.Errorf("the version is the same after %s", after)
			}
			last = now
		}
		g := mustAcquire(t, tab, try("x"))
		changed("a grant")
		next := tab.start(t.Context(), wait("x", time.Hour))
		changed("a waiter")
		mustRelease(t, tab, g)
		changed("a hand-over")
		time.Sleep(10 * time.Second)
		changed("an expiry")
		tab.Get("x")
		if tab.Version() != last {
			t.Error("a look changed the version")
		}
		<-next
	})
}

// The time from the end of a lease to the next grant counts what policies take at the turn of
// the waiter, and grants to clients that did not wait do not count.
func TestHandoversCountFromTheEndOfTheLeaseBefore(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("plain"))
		next := tab.start(t.Context(), wait("plain", time.Hour))
		synctest.Wait()
		time.Sleep(time.Second)
		mustRelease(t, tab, g)
		<-next
		if h := tab.Stats().Handovers; h.Count() != 1 || h.Counts[0] != 1 {
			t.Errorf("a hand-over in no time is counted as %v", h.Counts)
		}
	})
	inTime(t, Config{Rechecks: func(lock.Name) bool { return true }}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("judged"))
		done := make(chan error, 1)
		go func() {
			_, err := tab.AcquireWith(t.Context(), wait("judged", time.Hour), func(context.Context, lock.Turn) (lock.Opinion, error) {
				time.Sleep(300 * time.Millisecond)
				return lock.Opinion{}, nil
			})
			done <- err
		}()
		synctest.Wait()
		mustRelease(t, tab, g)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if h := tab.Stats().Handovers; h.Count() != 1 || h.Sum != 0.3 {
			t.Errorf("a hand-over of 300ms is counted as %v, sum %g s", h.Counts, h.Sum)
		}
		if len(tab.freed) > 0 {
			t.Errorf("noted as free for ever: %v", tab.freed)
		}
	})
}

// The lease that ended before is one of the same lock, also if that of another ends in between.
func TestHandoversAreOfOneLock(t *testing.T) {
	inTime(t, Config{Rechecks: func(n lock.Name) bool { return n == "judged" }}, func(t *testing.T, tab *Table, d *diary) {
		g, other := mustAcquire(t, tab, try("judged")), mustAcquire(t, tab, try("other"))
		done := make(chan error, 1)
		go func() {
			_, err := tab.AcquireWith(t.Context(), wait("judged", time.Hour), func(context.Context, lock.Turn) (lock.Opinion, error) {
				time.Sleep(200 * time.Millisecond)
				return lock.Opinion{}, nil
			})
			done <- err
		}()
		synctest.Wait()
		mustRelease(t, tab, g)
		gate := make(chan struct{}) // what comes meanwhile is one batch
		d.set(gate, nil)
		tab.start(t.Context(), try("else"))
		time.Sleep(100 * time.Millisecond)
		go tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "other", LeaseID: other.LeaseID})
		time.Sleep(200 * time.Millisecond)
		d.set(nil, nil)
		close(gate)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if h := tab.Stats().Handovers; h.Count() != 1 || h.Sum < 0.3 {
			t.Errorf("a hand-over of 300ms is counted as %v, sum %g s", h.Counts, h.Sum)
		}
	})
}

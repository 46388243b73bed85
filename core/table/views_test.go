package table

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

func TestListing(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		for _, n := range []lock.Name{"a", "deploy/prod", "deploy/staging", "deploys", "z"} {
			mustAcquire(t, tab, try(n))
		}
		other := try("deploy/other")
		other.Actor.Account = "other"
		mustAcquire(t, tab, other)
		for _, c := range []struct {
			q    Query
			want string
			next lock.Name
		}{
			{Query{Limit: 10}, "[a deploy/other deploy/prod deploy/staging deploys z]", ""},
			{Query{Limit: 6}, "[a deploy/other deploy/prod deploy/staging deploys z]", ""},
			{Query{Limit: 2}, "[a deploy/other]", "deploy/other"},
			{Query{Limit: 2, After: "deploy/other"}, "[deploy/prod deploy/staging]", "deploy/staging"},
			{Query{Limit: 10, Prefix: "deploy/"}, "[deploy/other deploy/prod deploy/staging]", ""},
			{Query{Limit: 10, Prefix: "deploy"}, "[deploy/other deploy/prod deploy/staging deploys]", ""},
			{Query{Limit: 10, Prefix: "deploy/", After: "deploy/prod"}, "[deploy/staging]", ""},
			{Query{Limit: 10, Prefix: "deploy/", After: "zz"}, "[]", ""},
			{Query{Limit: 10, Account: "other"}, "[deploy/other]", ""},
			{Query{Limit: 10, Visible: func(n lock.Name) bool { return len(n) == 1 }}, "[a z]", ""},
		} {
			views, next := tab.List(c.q)
			names := []lock.Name{}
			for _, v := range views {
				names = append(names, v.Name)
			}
			if fmt.Sprint(names) != c.want || next != c.next {
				t.Errorf("%+v:\n got %v %q\nwant %v %q", c.q, names, next, c.want, c.next)
			}
		}
	})
}

func TestListingOfManyNamesIsComplete(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		const all = 3*scanStep + 7
		for i := range all {
			a := try(lock.Name(fmt.Sprintf("n%06d", i)))
			a.Actor.Account = fmt.Sprint("acct", i%7)
			a.TTL = time.Hour
			mustAcquire(t, tab, a)
		}
		seen := 0
		for after := lock.Name(""); ; {
			views, next := tab.List(Query{Limit: 100, After: after, Account: "acct3"})
			seen += len(views)
			if after = next; next == "" {
				break
			}
		}
		if want := (all + 3) / 7; seen != want {
			t.Errorf("saw %d, want %d", seen, want)
		}
	})
}

func TestStatsCountWhatHappened(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Minute))
		time.Sleep(2 * time.Second)
		if s := tab.Stats(); s.Held != 1 || s.Waiters != 1 {
			t.Errorf("%d held, %d waiting", s.Held, s.Waiters)
		}
		mustRelease(t, tab, g)
		<-waiting
		s := tab.Stats()
		if s.Held != 1 || s.Waiters != 0 || s.Waits.Count() != 2 || s.Waits.Sum != 2 || s.Holds.Sum != 2 || s.Batches.Sum != 3 || s.Commits.Count() != 2 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestQueueOfAllIsAskedOfTheLoop(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		mustAcquire(t, tab, try("x"))
		for i := range 30 {
			a := wait("x", time.Minute)
			a.Holder = fmt.Sprint("h", i)
			tab.start(t.Context(), a)
			synctest.Wait()
		}
		page, total, err := tab.Queue(t.Context(), "x", 20, 5)
		if err != nil || total != 30 || len(page) != 5 || page[0].Position != 21 || page[4].Holder != "h24" {
			t.Errorf("got %+v of %d, %v", page, total, err)
		}
		if page, total, err := tab.Queue(t.Context(), "x", 40, 5); err != nil || total != 30 || page != nil {
			t.Errorf("behind the end: %+v of %d, %v", page, total, err)
		}
		if page, total, err := tab.Queue(t.Context(), "y", 0, 5); err != nil || total != 0 || page != nil {
			t.Errorf("of a free name: %+v of %d, %v", page, total, err)
		}
		tab.Drain()
		synctest.Wait()
	})
}

// Who is away shows in the published view and in the loop's answer alike, from the commit
// after it left until it is back or its place is over.
func TestQueueShowsAbsentWaiters(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		long := try("x")
		long.TTL = time.Hour
		mustAcquire(t, tab, long)
		keyed := wait("x", time.Hour)
		keyed.Attempt = lock.Attempt{Key: [32]byte{1}, Params: [16]byte{2}}
		keyed.Metadata = map[string]string{"Build": "7"}
		tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		shown := func(want time.Time) {
			t.Helper()
			synctest.Wait()
			page, total, err := tab.Queue(t.Context(), "x", 0, 10)
			if view := tab.Get("x"); err != nil || total != 2 || view.Waiters != 2 || fmt.Sprint(view.Queue) != fmt.Sprint(page) {
				t.Fatalf("%v, %v and %v", err, page, view.Queue)
			}
			if !page[0].KeptUntil.IsZero() || !page[1].KeptUntil.Equal(want) || page[1].Metadata["Build"] != "7" {
				t.Errorf("it is kept until %v, want %v: %+v", page[1].KeptUntil, want, page)
			}
		}
		for range 2 { // it leaves, comes back, and leaves again
			ctx, leave := context.WithCancel(t.Context())
			tab.start(ctx, keyed)
			shown(time.Time{})
			time.Sleep(time.Second)
			leave()
			synctest.Wait()
			shown(time.Now().Add(10 * time.Second))
			time.Sleep(10 * time.Second / 2)
		}
		time.Sleep(10*time.Second/2 + time.Millisecond)
		synctest.Wait()
		if view := tab.Get("x"); view.Waiters != 1 || len(view.Queue) != 1 || !view.Queue[0].KeptUntil.IsZero() {
			t.Errorf("its place is not over: %+v", view.Queue)
		}
		tab.Drain()
		synctest.Wait()
	})
}

func TestAccountLocksAreCounted(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		as := func(account string, name lock.Name) lock.Acquisition {
			a := try(name)
			a.Actor.Account = account
			return a
		}
		check := func(account, prefix string, want int) {
			t.Helper()
			if got := tab.HeldBy(account, prefix); got != want {
				t.Errorf("%s %q: got %d, want %d", account, prefix, got, want)
			}
		}
		mustAcquire(t, tab, as("a", "prod/1"))
		check("a", "", 1) // from here on it is kept, not looked for
		g := mustAcquire(t, tab, as("a", "prod/2"))
		mustAcquire(t, tab, as("a", "staging/1"))
		mustAcquire(t, tab, as("b", "prod/3"))
		check("a", "", 3)
		check("a", "prod/", 2)
		check("a", "prod", 2)
		check("a", "x", 0)
		check("b", "", 1)
		check("c", "", 0)
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: lock.Origin{Actor: lock.Actor{Account: "a"}}, Name: "prod/2", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		check("a", "prod/", 1)
		time.Sleep(2 * time.Hour)
		check("a", "", 0)
		check("b", "", 0)
	})
}

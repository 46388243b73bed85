package transport

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/octostore/octostore/transport/api"
)

// queueUp has a number of clients wait for the lock, one after the other, each with its
// number as holder and as metadata. The one that is number keyed has an idempotency key, and
// leaves when it is told to.
func queueUp(t *testing.T, s *server, name string, clients, keyed int) (leave func()) {
	ctx, leave := context.WithCancel(t.Context())
	for i := 1; i <= clients; i++ {
		options := []option{}
		if i == keyed {
			options = append(options, header(api.HeaderKey, waiterKey), during(ctx))
		}
		go s.do(t, fmt.Sprintf("POST /v1/locks/%s/acquire?wait=9m&ttl=1s&holder=h%d&reason=r&meta.Build=%d", name, i, i), options...)
		synctest.Wait()
	}
	return leave
}

const waiterKey = "the-key-of-a-waiter"

func TestQueueIsReadInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 45
		s := newServer(t, setup{})
		s.do(t, "POST /v1/locks/a/b/acquire?ttl=1h").want(200)
		defer queueUp(t, s, "a/b", all, 0)()
		first := s.do(t, "GET /v1/locks/a/b").lock()
		if len(first.Waiters) != 16 || first.WaitersTotal != all || first.WaitersNext != 16 {
			t.Fatalf("%d waiters of %d, next %d", len(first.Waiters), first.WaitersTotal, first.WaitersNext)
		}
		for _, path := range []string{"GET /v1/locks/a/b?", "GET /v1/locks?name=a/b&"} {
			read := func(query string) api.Lock {
				a := s.do(t, path+query).want(200)
				if path[len(path)-1] == '&' {
					return decode[api.List](a).Locks[0]
				}
				return a.lock()
			}
			var waiters []api.Waiter
			for next, pages := 0, 0; ; pages++ {
				page := read(fmt.Sprintf("waiters=20&waiters_after=%d", next))
				if page.WaitersTotal != all || page.Lease == nil || page.State != api.Held {
					t.Fatalf("%+v", page)
				}
				waiters = append(waiters, page.Waiters...)
				if next = page.WaitersNext; next == 0 {
					if pages != 2 {
						t.Errorf("%d pages, want 3", pages+1)
					}
					break
				}
			}
			if len(waiters) != all || cmp.Diff(waiters[:16], first.Waiters) != "" {
				t.Fatalf("%d waiters, and the first are %+v", len(waiters), waiters[0])
			}
			for i, w := range waiters {
				want := api.Waiter{Position: i + 1, Account: "local", Holder: fmt.Sprint("h", i+1), Reason: "r", Metadata: map[string]string{"Build": fmt.Sprint(i + 1)}, Since: w.Since}
				if diff := cmp.Diff(want, w); diff != "" {
					t.Error(diff)
				}
			}
			if got := read("waiters=44"); len(got.Waiters) != 44 || got.WaitersNext != 44 {
				t.Errorf("all but one: %d, next %d", len(got.Waiters), got.WaitersNext)
			}
			if got := read("waiters_after=43"); len(got.Waiters) != 2 || got.WaitersNext != 0 {
				t.Errorf("behind 43: %+v", got)
			}
			if got := read("waiters_after=45"); len(got.Waiters) != 0 || got.WaitersTotal != all || got.WaitersNext != 0 {
				t.Errorf("behind the end: %+v", got)
			}
		}
		// A listing has many locks, so it leaves metadata out.
		if got := decode[api.List](s.do(t, "GET /v1/locks").want(200)).Locks[0]; len(got.Waiters) != 16 || got.Waiters[0].Metadata != nil || got.WaitersNext != 16 {
			t.Errorf("a listing has %+v", got.Waiters[0])
		}
		if got := s.do(t, "GET /v1/locks/other?waiters=5").lock(); got.State != api.Free || got.WaitersTotal != 0 || got.Waiters == nil {
			t.Errorf("of a free lock: %+v", got)
		}
		s.table.Drain()
	})
}

// A waiter whose client is gone, and whose place is kept for its key, is shown as such.
func TestWaiterThatIsAwayIsMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		s.do(t, "POST /v1/locks/a/acquire?ttl=1h").want(200)
		leave := queueUp(t, s, "a", 3, 2)
		check := func(away bool, until time.Time) {
			t.Helper()
			for _, line := range []string{"GET /v1/locks/a", "GET /v1/locks/a?waiters=10", "GET /v1/locks"} {
				a := s.do(t, line)
				var l api.Lock
				if line == "GET /v1/locks" {
					l = decode[api.List](a).Locks[0]
				} else {
					l = a.lock()
				}
				for i, w := range l.Waiters {
					kept := w.KeptUntil != nil
					if want := away && i == 1; w.Away != want || kept != want || want && !w.KeptUntil.Equal(until.UTC().Truncate(time.Millisecond)) {
						t.Errorf("%s: place %d: away %t until %v", line, i+1, w.Away, w.KeptUntil)
					}
				}
				if len(l.Waiters) != 3 {
					t.Errorf("%s: %d waiters", line, len(l.Waiters))
				}
			}
		}
		check(false, time.Time{})
		time.Sleep(time.Second)
		leave()
		synctest.Wait()
		check(true, time.Now().Add(10*time.Second))

		ctx, leave := context.WithCancel(t.Context())
		again := "POST /v1/locks/a/acquire?wait=9m&ttl=1s&holder=h2&reason=r&meta.Build=2"
		go s.do(t, again, header(api.HeaderKey, waiterKey), during(ctx))
		synctest.Wait()
		check(false, time.Time{})
		time.Sleep(time.Minute)
		leave()
		synctest.Wait()
		check(true, time.Now().Add(10*time.Second))
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if l := s.do(t, "GET /v1/locks/a").lock(); len(l.Waiters) != 2 || l.Waiters[1].Holder != "h3" || l.Waiters[1].Away {
			t.Errorf("its place is not over: %+v", l.Waiters)
		}
		s.table.Drain()
	})
}

// The queue is asked of the loop, which is gone when the server is.
func TestQueueOfAClosedTable(t *testing.T) {
	s := newServer(t, setup{})
	_ = s.table.Close()
	s.do(t, "GET /v1/locks/a").want(200)
	s.do(t, "GET /v1/locks/a?waiters=1").want(503)
}

package transport

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

// TestLiveViewIsTheSameUntilItChanges reads a lock twice while nothing happens to it.
func TestLiveViewIsTheSameUntilItChanges(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "a")
	if one, two := s.table.Get("a"), s.table.Get("a"); !sameView(one, two) {
		t.Error("a held lock, read twice, counts as changed")
	}
}

// TestLiveViewChangesWithItsQueueBehindTheFirstPage has one waiter far behind leave and another one
// come, while the lock is free because the first waiter is being judged.
func TestLiveViewChangesWithItsQueueBehindTheFirstPage(t *testing.T) {
	s := newServer(t, setup{lock: table.Config{Rechecks: func(lock.Name) bool { return true }}})
	judged, end := make(chan struct{}, 100), make(chan struct{})
	defer close(end)
	ask := func(ctx context.Context, holder string) {
		a := lock.Acquisition{Name: "a", Holder: holder, Wait: time.Hour, TTL: time.Hour}
		a.Actor.Account = "local"
		go func() {
			_, _ = s.table.AcquireWith(ctx, a, func(ctx context.Context, _ lock.Turn) (lock.Opinion, error) {
				judged <- struct{}{}
				<-end
				return lock.Opinion{}, nil
			})
		}()
	}
	a := lock.Acquisition{Name: "a", TTL: time.Hour}
	a.Actor.Account = "local"
	g, err := s.table.Acquire(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	count := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " wait"), func() bool { return s.table.Get("a").Waiters == n })
	}
	for n := range 19 {
		ask(t.Context(), fmt.Sprint(n))
		count(n + 1)
	}
	ctx, leave := context.WithCancel(t.Context())
	ask(ctx, "leaves")
	count(20)
	rel := lock.ReleaseRequest{Name: "a", LeaseID: g.LeaseID}
	rel.Actor.Account = "local"
	if _, err := s.table.Release(t.Context(), rel); err != nil {
		t.Fatal(err)
	}
	<-judged
	live := watch(t, "http://"+listening(t, s).String()+"/v1/live?name=a")
	shows := func(holder string) {
		t.Helper()
		for shown := ""; shown != holder; {
			l, _ := wantView[api.Lock](live, "lock")
			shown = l.Waiters[len(l.Waiters)-1].Holder
		}
	}
	shows("leaves")
	leave()
	count(19)
	ask(t.Context(), "comes")
	count(20)
	shows("comes")
}

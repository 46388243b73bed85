package client_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

func TestClientLiveStreamsViews(t *testing.T) {
	c := start(t)
	defer release(t, acquire(t, c, "a/1", client.AcquireOptions{}))
	defer release(t, acquire(t, c, "b", client.AcquireOptions{}))
	q := client.LiveQuery{
		Show: []string{client.ShowLocks, client.ShowLock, client.ShowActivity}, Name: "b", Locks: client.LocksQuery{Prefix: "a/", Limit: 5},
	}
	var kinds []string
	for e, err := range c.Live(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
		switch e.Kind {
		case client.ShowLocks:
			var list api.List
			if err := json.Unmarshal(e.Data, &list); err != nil || len(list.Locks) != 1 || list.Locks[0].Name != "a/1" {
				t.Errorf("the locks are %s (%v)", e.Data, err)
			}
		case client.ShowLock:
			var lock api.Lock
			if err := json.Unmarshal(e.Data, &lock); err != nil || lock.Name != "b" {
				t.Errorf("the lock is %s (%v)", e.Data, err)
			}
		}
		if len(kinds) == len(q.Show) {
			break
		}
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"activity", "lock", "locks"}) {
		t.Errorf("the views are %v", kinds)
	}
}

func TestClientReadsTheActivity(t *testing.T) {
	a, err := start(t).Activity(t.Context())
	if err != nil || a.StepMS != 10_000 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestClientListsLocksByWaiting(t *testing.T) {
	c := start(t)
	defer release(t, acquire(t, c, "free", client.AcquireOptions{}))
	list, err := c.Locks(t.Context(), client.LocksQuery{Sort: "wait"})
	if err != nil || len(list.Locks) > 0 {
		t.Errorf("%+v, %v: no lock has waiters", list, err)
	}
}

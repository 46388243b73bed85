package etcd

import (
	"errors"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// openTable opens a table and its journal on the records of a term.
func openTable(t *testing.T, r *records) *table.Table {
	t.Helper()
	j := journal.New(r)
	tab, err := table.Open(t.Context(), j, table.Config{Full: r.Full, Published: j.Publish})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tab.Close() // a table that lost its term says so
		_ = j.Close()
	})
	return tab
}

// Leases, lease ids and keys outlive the term, tokens only grow, and the table of the term
// before changes nothing more.
func TestEtcdTableGoesOnUnderAnotherOwner(t *testing.T) {
	k := newTerms(t)
	first := openTable(t, k.take())
	by := lock.Origin{Actor: lock.Actor{Account: "ci"}}
	attempt, err := lock.NewAttempt("0123456789abcdef", time.Hour, 0, "ci-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	acquire := lock.Acquisition{Origin: by, Name: "deploy/prod", Holder: "ci-1", TTL: time.Hour, Attempt: attempt}
	held, err := first.Acquire(t.Context(), acquire)
	if err != nil {
		t.Fatal(err)
	}
	renewal := lock.RenewRequest{Origin: by, Name: "deploy/prod", LeaseID: held.LeaseID, TTL: 10 * time.Second}
	if _, err := first.Renew(t.Context(), renewal); err != nil {
		t.Fatal(err)
	}

	second := openTable(t, k.take())
	if _, err := first.Renew(t.Context(), renewal); !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("the table of the earlier term renews: %v", err)
	}
	select {
	case <-first.Done():
	case <-time.After(10 * time.Second):
		t.Error("the table of the earlier term goes on")
	}
	now := second.Get("deploy/prod").Lease
	if now == nil || now.Token != held.Lease.Token {
		t.Fatalf("the lock has the lease %+v, want token %d", now, held.Lease.Token)
	}
	if left := time.Until(now.ExpiresAt); left < time.Hour-time.Minute {
		t.Errorf("the lease has %s left, less than it was promised", left)
	}
	again, err := second.Acquire(t.Context(), acquire)
	if err != nil || again.Lease.Token != held.Lease.Token || again.LeaseID != held.LeaseID {
		t.Errorf("a repeat of the acquire gives %+v, %v", again, err)
	}
	if _, err := second.Release(t.Context(), lock.ReleaseRequest{Origin: by, Name: "deploy/prod", LeaseID: held.LeaseID}); err != nil {
		t.Error(err)
	}
	acquire.Attempt = lock.Attempt{}
	next, err := second.Acquire(t.Context(), acquire)
	if err != nil || next.Lease.Token <= held.Lease.Token {
		t.Errorf("the next lease has token %d, %v, want more than %d", next.Lease.Token, err, held.Lease.Token)
	}
}

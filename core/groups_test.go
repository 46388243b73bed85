package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// curious is a guard that keeps the questions it was asked.
type curious struct{ asked []core.Question }

func (*curious) Covers(core.Hook, lock.Name) bool { return true }

func (c *curious) Judge(_ context.Context, q core.Question) (core.Decision, error) {
	c.asked = append(c.asked, q)
	return core.Decision{}, nil
}

// What a login says of an account, and the other locks, are part of every question. Of an
// account that is only supposed to ask, memberships are not known.
func TestQuestionsCarryGroupsAndOtherLocks(t *testing.T) {
	log := journal.New(memory.New())
	table, err := table.Open(t.Context(), log, table.Config{Published: log.Publish})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	guard := new(curious)
	s := core.New(table, core.Config{Guard: guard})
	who := auth.Local()
	who.Groups = "github:acme\n"
	g, err := s.Acquire(t.Context(), who, core.AcquireRequest{Name: "a", TTL: time.Minute, Holder: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Renew(t.Context(), who, lock.RenewRequest{Name: "a", LeaseID: g.LeaseID}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Break(t.Context(), who, lock.BreakRequest{Name: "a", Cause: "why"}); err != nil {
		t.Fatal(err)
	}
	if len(guard.asked) != 3 {
		t.Fatalf("it was asked %d times", len(guard.asked))
	}
	if _, err := s.Acquire(t.Context(), who, core.AcquireRequest{Name: "a/b", TTL: time.Minute, Holder: "h"}); err != nil {
		t.Fatal(err)
	}
	for _, q := range guard.asked {
		if q.Asked.Actor.Groups != "github:acme\n" {
			t.Errorf("%s: the groups are %q", q.Hook, q.Asked.Actor.Groups)
		}
		if l := q.Locks.Get("a/b").Lease; l == nil || l.Holder != "h" || q.Locks.Get("no name").Lease != nil {
			t.Errorf("%s: the other lock is %+v", q.Hook, l)
		}
		if held, looked := q.Locks.HeldUnder("a/", 10); held != 1 || looked != 1 {
			t.Errorf("%s: %d held of %d", q.Hook, held, looked)
		}
	}
	for account, want := range map[string]string{"": who.Groups, auth.LocalAccount: who.Groups, "other": ""} {
		q, err := s.AcquireQuestion(who, account, core.AcquireRequest{Name: "b", TTL: time.Minute})
		if err != nil || q.Asked.Actor.Groups != want {
			t.Errorf("supposing %q: %q, %v", account, q.Asked.Actor.Groups, err)
		}
		q, err = s.BreakQuestion(who, account, lock.BreakRequest{Name: "a/b", Cause: "why"})
		if err != nil || q.Asked.Actor.Groups != want {
			t.Errorf("supposing a break by %q: %q, %v", account, q.Asked.Actor.Groups, err)
		}
	}
	if q, err := s.RenewQuestion(who, "", lock.RenewRequest{Name: "a/b"}); err != nil || q.Asked.Actor.Groups != who.Groups {
		t.Errorf("supposing a renewal: %q, %v", q.Asked.Actor.Groups, err)
	}
}

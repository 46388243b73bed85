package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// silentPolicies is a manifest with so many policies that allow everything and say nothing.
func silentPolicies(n int) string {
	policies := make([]string, n)
	for i := range policies {
		policies[i] = fmt.Sprintf(`{"name":"policy-%d","module":"silent.wasm","match":["prod/**"],"hooks":["acquire","renew"]}`, i)
	}
	return `{"policies":[` + strings.Join(policies, ",") + `]}`
}

var silentModule = map[string][]byte{"silent": policyCode("check", "i32.const 0")}

// The record of a grant is not longer for the number of policies that let it pass.
func TestPolicySetKeepsTheRecordOfAGrantShort(t *testing.T) {
	var without, withoutWaited int
	for _, policies := range []int{0, 1, 30, 64} {
		s := ruledServer(t, t.TempDir(), onShelf(&shelf{Store: memory.New()}), silentPolicies(policies), silentModule)
		held := s.call("POST", "/v1/locks/prod/db/acquire?holder=ci-1")
		octotest.Expect(t, held, 200, "lease_id")
		waits := make(chan octotest.Answer, 1)
		go func() { waits <- s.call("POST", "/v1/locks/prod/db/acquire?holder=ci-2&wait=1m") }()
		octotest.WaitUntil(t, "the other waits", func() bool { return s.serving().table.Stats().Waiters == 1 })
		octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/release?lease_id="+octotest.Member(t, held.Body, "lease_id")), 200, "held_ms")
		octotest.Expect(t, <-waits, 200, "lease_id")
		var granted []int
		for line := range s.lines(t) {
			if line.Kind == lock.Granted {
				granted = append(granted, len(line.Bytes))
			}
		}
		if len(granted) != 2 {
			t.Fatalf("%d grants are on record", len(granted))
		}
		t.Logf("%d policies: %d bytes, having waited %d", policies, granted[0], granted[1])
		if policies == 0 {
			without, withoutWaited = granted[0], granted[1]
		}
		if most := without + 64; granted[0] > most {
			t.Errorf("%d silent policies make the record %d bytes long; want at most %d", policies, granted[0], most)
		}
		if most := withoutWaited + 96; granted[1] > most {
			t.Errorf("%d silent policies make the record of a waiter %d bytes long; want at most %d", policies, granted[1], most)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}

// lines returns what is in the journal.
func (s *server) lines(t *testing.T) func(func(record.Line) bool) {
	t.Helper()
	reader := s.serving().journal.From(s.serving().journal.Oldest())
	return func(yield func(record.Line) bool) {
		for {
			page, err := reader.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return
			}
			for _, segment := range page {
				for line := range record.Lines(segment, 0) {
					line.Bytes = bytes.Clone(line.Bytes)
					if !yield(line) {
						return
					}
				}
			}
		}
	}
}

// Whatever policies judged, their set is described later in the journal as well: when
// others take their place, and when the server stops.
func TestPolicySetIsDescribedAgainAtItsEnd(t *testing.T) {
	store, dir := memory.New(), t.TempDir()
	s := ruledServer(t, dir, onShelf(&shelf{Store: store}), silentPolicies(2), silentModule)
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/a/acquire"), 200, "lease_id")
	octotest.Expect(t, s.call("POST", "/v1/locks/test/a/acquire"), 200, "lease_id") // no policy covers it
	withPolicies(t, dir, silentPolicies(1))
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 200, "gone policy-1")
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 200, "policy-0")
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/b/acquire"), 200, "lease_id")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	next, err := startServer(t.Context(), cfg, slog.New(slog.DiscardHandler), onShelf(&shelf{Store: store}))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, r := range next.records(t) {
		switch r.Kind {
		case lock.Granted:
			seen = append(seen, fmt.Sprintf("%s %t", r.Name, r.PolicySet != ""))
			if r.PolicySet != "" && !describedAfter(t, next, r) {
				t.Errorf("no later record describes the set %s of %s", r.PolicySet, r.Name)
			}
		case lock.PoliciesLoaded, lock.Stopped:
			text := string(r.Kind)
			for _, set := range r.PolicySets() {
				text += fmt.Sprintf(" %d", len(set.Policies))
			}
			seen = append(seen, text)
		}
	}
	want := "policies_loaded 2; prod/a true; test/a false; policies_loaded 1 2; policies_loaded 1; prod/b true; stopped 1"
	if got := strings.Join(seen, "; "); got != want {
		t.Errorf("on record is\n%s, want\n%s", got, want)
	}
	if err := next.stop(); err != nil {
		t.Error(err)
	}
}

// A set that could not be recorded when it was loaded is recorded with the next one: it may
// have judged meanwhile.
func TestPolicySetIsRecordedLate(t *testing.T) {
	disk, dir := &shelf{Store: memory.New()}, t.TempDir()
	s := ruledServer(t, dir, onShelf(disk), silentPolicies(1), silentModule)
	full := lock.ErrFull
	disk.fail.Store(&full)
	withPolicies(t, dir, silentPolicies(2))
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 507, "no space")
	disk.fail.Store(nil)
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/a/acquire"), 200, "lease_id")
	withPolicies(t, dir, silentPolicies(3))
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 200, "new policy-2")
	var sets []int
	for _, r := range s.records(t) {
		if r.Kind == lock.Granted && !describedAfter(t, s, r) {
			t.Errorf("no later record describes the set %s", r.PolicySet)
		}
		for _, set := range r.PolicySets() {
			sets = append(sets, len(set.Policies))
		}
	}
	if want := []int{1, 2, 1, 3, 2}; !slices.Equal(sets, want) {
		t.Errorf("on record are sets of %v policies, want %v", sets, want)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// describedAfter reports whether a later record describes the set that judged a request, and
// as that which it was.
func describedAfter(t *testing.T, s *server, judged record.Record) bool {
	t.Helper()
	return slices.ContainsFunc(s.records(t), func(r record.Record) bool {
		return r.Seq > judged.Seq && slices.ContainsFunc(r.PolicySets(), func(set record.PolicySet) bool {
			p := set.Policies[0]
			return set.ID == judged.PolicySet && p.Policy == "policy-0" && len(p.Digest) == 64 && p.Mode == "enforce" &&
				slices.Equal(p.Hooks, []string{"acquire", "renew"}) && slices.Equal(p.Match, []string{"prod/**"})
		})
	})
}

// The set that rules is on record, however long ago it was loaded.
func TestPolicySetOutlivesThePruningOfItsRecord(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	cfg := withPolicies(t, dir, `{"policies":[]}`)
	cfg.AuditRetention = time.Second
	s, err := startServer(context.Background(), cfg, slog.New(slog.DiscardHandler), onShelf(&shelf{Store: memory.New()}))
	if err != nil {
		t.Fatal(err)
	}
	all := s.records(t)
	loaded := all[len(all)-1].Seq
	octotest.WaitUntil(t, "the record of the policies is pruned", func() bool { return s.serving().journal.Oldest() >= loaded })
	described := 0
	for line := range s.lines(t) {
		r, err := record.Parse(line.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		described += len(r.PolicySets())
	}
	if described == 0 {
		t.Error("no record that is left says which policies rule")
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

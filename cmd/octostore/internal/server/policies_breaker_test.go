package server

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/memory"
)

// A policy that keeps failing is soon not called any more. Its requests are answered as
// before, each is on record, and the metrics say so until a reload.
func TestBreakerOfAPolicyShowsEverywhere(t *testing.T) {
	modules := map[string][]byte{"traps": policyCode("check", "unreachable")}
	s := ruledServer(t, t.TempDir(), onShelf(&shelf{Store: memory.New()}), `{"policies":[{"name":"traps","module":"traps.wasm","match":["prod/**"]}]}`, modules)
	const requests = 20
	for range requests {
		octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/acquire"), 503, `"policy_error"`)
	}
	for _, line := range []string{
		`octostore_policy_breaker_open{policy="traps"} 1`,
		`octostore_policy_breaker_opened_total{policy="traps"} 1`,
		`octostore_policy_errors_total{mode="enforce",policy="traps"} 20`,
	} {
		octotest.Expect(t, s.call("GET", "/metrics"), 200, line)
	}
	calls := s.policies.Policies()[0].Calls
	if calls < 5 || calls > 8 {
		t.Errorf("it was called %d times", calls)
	}
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 200, "")
	octotest.Expect(t, s.call("GET", "/metrics"), 200, `octostore_policy_breaker_open{policy="traps"} 0`)
	record := s.call("GET", "/v1/audit?kind=policy_error&format=ndjson").Body
	if n := strings.Count(record, `"reason":"breaker"`); n != requests-int(calls) {
		t.Errorf("%d records say that it was not called, want %d\n%.1000s", n, requests-int(calls), record)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

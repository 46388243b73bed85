package transport

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// ruled are policies as a test wants them.
type ruled struct{ err error }

func (ruled) List() api.PolicyList {
	loaded := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return api.PolicyList{LoadedAt: &loaded, FailedReloads: 2, Policies: []api.Policy{{
		Name: "freeze", Module: "freeze.wasm", Digest: strings.Repeat("a", 64), Match: []string{"prod/**"},
		Hooks: []string{"acquire"}, Mode: "enforce", OnError: "deny", Fuel: 10_000_000, Calls: 3, Denials: 1,
		FuelUsed: 900, PolicyHealth: api.PolicyHealth{Latency: api.PolicyLatency{Buckets: []api.LatencyBucket{}}},
	}, {
		Name: "audit", Module: "audit.wasm", Digest: strings.Repeat("b", 64), Match: []string{"**"},
		Hooks: []string{"observe"}, Mode: "shadow", OnError: "deny", Fuel: 10_000_000, Calls: 7, Errors: 3,
		PolicyHealth: api.PolicyHealth{
			BreakerOpen: true, BreakerOpened: 2, Instances: 3, MemoryBytes: 4096, Starts: 5, Waits: 6, WaitedNS: 7e6, LinesDropped: 8,
			Latency: api.PolicyLatency{Calls: 9, TotalNS: 5e8, Buckets: []api.LatencyBucket{{AtMostNS: 1024, Calls: 4}, {AtMostNS: 4096, Calls: 8}}},
		},
		Observer: &api.Observer{After: "17", LagMS: 1500, Parked: 1, Gaps: 4},
	}}}
}

func (r ruled) Reload(context.Context, lock.Origin, string) (string, error) {
	return "new freeze", r.err
}

func (ruled) Explain(_ context.Context, q core.Question, at time.Time) (api.Explanation, error) {
	a := q.Asked
	logs := []string{a.Holder, a.Reason}
	if q.Hook != core.HookAcquire || !at.IsZero() {
		logs = append(logs, fmt.Sprint(q.Hook, " held by ", q.View.Lease.Holder, " at ", at.UnixMilli()))
	}
	return api.Explanation{
		Name: string(a.Name), Account: a.Actor.Account, Verdict: "deny", By: "freeze", Reason: "until Monday",
		Policies: []api.Explained{
			{
				Policy: "freeze", Digest: strings.Repeat("a", 64), Mode: "enforce", OnError: "deny", Asked: true, Why: `"prod/**" matches`,
				Said: &api.Said{
					Verdict: "deny", Reason: "until Monday", RetryAfter: 5, TTL: a.TTL.Milliseconds(), Wait: a.Wait.Milliseconds(),
					Notes: map[string]string{"ticket": a.Metadata["ticket"]}, Logs: logs, Fuel: 7,
				},
			},
			{Policy: "other", Digest: strings.Repeat("b", 64), Mode: "shadow", OnError: "allow", Why: "none of its patterns matches"},
		},
	}, nil
}

func TestPoliciesAreAskedForTheirReasons(t *testing.T) {
	s := newServer(t, setup{})
	const none = `{"name":"prod/db","account":"local","hook":"acquire","verdict":"allow","policies":[]}` + "\n"
	if body := string(s.do(t, "GET /v1/policies/explain?name=prod/db").want(200).body); body != none {
		t.Errorf("got %s", body)
	}
	s.policies = ruled{}
	body := string(s.do(t, "GET /v1/policies/explain?name=prod/db&account=ci&ttl=5m&wait=3s&holder=h&reason=why&meta.ticket=OPS-7").want(200).body)
	for _, want := range []string{
		`{"name":"prod/db","account":"ci","hook":"acquire","verdict":"deny","by":"freeze","reason":"until Monday","policies":[{"policy":"freeze"`,
		`"verdict":"deny","reason":"until Monday","retry_after_ms":5,"ttl_ms":300000,"wait_ms":3000,"notes":{"ticket":"OPS-7"},"logs":["h","why"],"fuel":7}`,
		`"asked":false,"why":"none of its patterns matches"}]}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s\nwant %s in it", body, want)
		}
	}
	s.do(t, "GET /v1/policies/explain", onPurpose).wantInvalid("name")
	s.do(t, "GET /v1/policies/explain?name=a//b", onPurpose).wantInvalid("name")
	s.do(t, "GET /v1/policies/explain?name=a&ttl=2h", onPurpose).wantInvalid("ttl")
	s.do(t, "GET /v1/policies/explain?name=a&lease_id=x", onPurpose).wantInvalid("lease_id")
	if n := s.table.Stats().Waiters; n != 0 {
		t.Errorf("%d wait", n)
	}
}

func TestPoliciesAreShownAndLoadedAgain(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "POST /v1/policies/reload", onPurpose).wantInvalid("policies") // there are none

	s.policies = ruled{}
	if body := string(s.do(t, "GET /v1/policies").want(200).body); !strings.Contains(body, `"name":"freeze"`) || !strings.Contains(body, `"denials":1`) {
		t.Errorf("got %s", body)
	}
	if body := string(s.do(t, "POST /v1/policies/reload").want(200).body); body != `{"changes":"new freeze"}`+"\n" {
		t.Errorf("got %s", body)
	}
	s.policies = ruled{&input.Error{Field: "policies", Problem: "stay as they are: no such file", Want: "one"}}
	s.do(t, "POST /v1/policies/reload", onPurpose).wantInvalid("policies")
	s.policies = ruled{lock.ErrFull}
	s.do(t, "POST /v1/policies/reload").want(507, api.CodeStorageFull)
}

// Policies see how many locks an account holds, and may tell. So asking about another
// account takes the right to read all locks; the answer names the scope that is missing.
func TestPoliciesAreAskedAboutAnotherAccountOnlyByReadersOfAll(t *testing.T) {
	s := newServer(t, setup{})
	s.policies = ruled{}
	team, all := s.as(t, "alice", "policies read:team-a/**"), s.as(t, "auditor", "policies read:**")
	for line, tt := range map[string]struct {
		who    option
		status int
		detail string
	}{
		"GET /v1/policies/explain?name=team-a/x":               {team, 200, ""},
		"GET /v1/policies/explain?name=team-a/x&account=alice": {team, 200, ""},
		"GET /v1/policies/explain?name=team-a/x&account=bob":   {team, 403, "read:**"},
		"GET /v1/policies/explain?name=team-b/x":               {team, 403, "this account may not"},
		"GET /v1/policies/explain?name=team-b/x&account=bob":   {team, 403, "this account may not"},
		"GET /v1/policies/explain?name=team-b/x&account=carol": {all, 200, ""},
	} {
		a := s.do(t, line, tt.who).want(tt.status)
		if tt.detail != "" && !strings.Contains(a.problem().Detail, tt.detail) {
			t.Errorf("%s is answered %q; want %q in it", line, a.problem().Detail, tt.detail)
		}
	}
}

// A renewal and a break are about the present lease, at the time that is given.
func TestPoliciesAreAskedAboutRenewalsAndBreaks(t *testing.T) {
	s := newServer(t, setup{policies: ruled{}})
	s.do(t, "GET /v1/policies/explain?name=prod/db&hook=renew").want(409, api.CodeNotHeld)
	s.do(t, "GET /v1/policies/explain?name=prod/db&hook=break").want(409, api.CodeNotHeld)
	s.do(t, "POST /v1/locks/prod/db/acquire?ttl=1m&holder=ci-7&reason=deploy&meta.ticket=OPS-7").want(200)
	for query, want := range map[string][]string{
		"hook=renew": {
			`"account":"local","hook":"renew","verdict"`, `"ttl_ms":60000,"wait_ms":0,"notes":{"ticket":"OPS-7"}`,
			`"logs":["ci-7","deploy","renew held by ci-7 at `,
		},
		"hook=renew&ttl=5m&account=local": {`"hook":"renew"`, `"ttl_ms":300000`},
		"hook=break&reason=pager&account=bob&at=2026-12-24T18:00:00%2B01:00": {
			`"account":"bob","hook":"break","at":"2026-12-24T17:00:00Z"`, `"logs":["ci-7","pager","break held by ci-7 at 1798131600000"]`,
		},
		"at=2026-12-24": {`"hook":"acquire","at":"2026-12-24T00:00:00Z"`, ` at 1798070400000"]`},
	} {
		body := string(s.do(t, "GET /v1/policies/explain?name=prod/db&"+query).want(200).body)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: got %s\nwant %s in it", query, body, w)
			}
		}
	}
	for query, field := range map[string]string{
		"hook=observe": "hook", "at=noon": "at", "at=24h": "at", "hook=renew&wait=3s": "wait", "hook=renew&holder=x": "holder",
		"hook=renew&reason=x": "reason", "hook=renew&meta.a=b": "meta", "hook=break&ttl=3s": "ttl", "hook=renew&ttl=2h": "ttl",
		"hook=renew&account=bob": "account",
	} {
		s.do(t, "GET /v1/policies/explain?name=prod/db&"+query, onPurpose).wantInvalid(field)
	}
	team, all := s.as(t, "alice", "policies read:team-a/** acquire:team-a/**"), s.as(t, "auditor", "policies read:**")
	s.do(t, "POST /v1/locks/team-a/x/acquire", team).want(200)
	s.do(t, "POST /v1/locks/team-a/y/acquire", s.as(t, "bob", "acquire:team-a/**")).want(200)
	for line, tt := range map[string]struct {
		who    option
		status int
	}{
		"team-a/x&hook=renew":               {team, 200},
		"team-a/x&hook=break":               {team, 200},
		"team-a/x&hook=break&account=bob":   {team, 403},
		"prod/db&hook=break":                {team, 403}, // it is not theirs to read
		"team-a/y&hook=renew":               {team, 403}, // policies see how many locks bob holds
		"team-a/y&hook=break":               {team, 200},
		"team-a/x&hook=renew&account=alice": {all, 200},
		"prod/db&hook=renew":                {all, 200},
	} {
		s.do(t, "GET /v1/policies/explain?name="+line, tt.who).want(tt.status)
	}
}

package transport

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// ruled are policies as a test wants them.
type ruled struct{ err error }

func (ruled) List() api.PolicyList {
	loaded := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return api.PolicyList{LoadedAt: &loaded, FailedReloads: 2, Policies: []api.Policy{{
		Name: "freeze", Module: "freeze.wasm", Digest: strings.Repeat("a", 64), Match: []string{"prod/**"},
		Hooks: []string{"acquire"}, Mode: "enforce", OnError: "deny", Fuel: 2_000_000, Calls: 3, Denials: 1,
		FuelUsed: 900,
	}, {
		Name: "audit", Module: "audit.wasm", Digest: strings.Repeat("b", 64), Match: []string{"**"},
		Hooks: []string{"observe"}, Mode: "shadow", OnError: "deny", Fuel: 2_000_000, Calls: 7, Errors: 3,
		Observer: &api.Observer{After: "17", LagMS: 1500, Parked: 1, Gaps: 4},
	}}}
}

func (r ruled) Reload(context.Context) (string, error) { return "new freeze", r.err }

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
	s.policies = ruled{&lock.InputError{Field: "policies", Problem: "stay as they are: no such file", Want: "one"}}
	s.do(t, "POST /v1/policies/reload", onPurpose).wantInvalid("policies")
	s.policies = ruled{lock.ErrFull}
	s.do(t, "POST /v1/policies/reload").want(507, api.CodeStorageFull)
}

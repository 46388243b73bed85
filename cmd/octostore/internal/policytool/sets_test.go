package policytool

import (
	"testing"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

const loadedSets = `{"seq":1,"kind":"policies_loaded","policy_set":"new","policies":[` +
	`{"policy":"freeze","mode":"enforce","hooks":["acquire"],"match":["prod/**","!prod/x"]},{"policy":"many","hooks":["acquire"]},` +
	`{"policy":"keep","hooks":["break"],"match":["**"]}],` +
	`"replaced":{"policy_set":"old","policies":[{"policy":"gone","hooks":["renew","acquire"],"match":["**"]},{"policy":"freeze","hooks":["acquire"],"match":["**"]}]}}`

// A policy that was asked and is silent on record allowed; else the record has what it said.
func TestReplayKnowsWhatAPolicySaid(t *testing.T) {
	const unknown, notAsked = "unknown", ""
	const both = `"policy_set":"old","policy_set_at_grant":"new"`
	for _, tt := range []struct{ name, members, policy, want string }{
		{"silent", `"policy_set":"new"`, "freeze", "allow"},
		{"not of the set", `"policy_set":"new"`, "gone", notAsked},
		{"of another hook", `"policy_set":"new"`, "keep", notAsked},
		{"no policy was asked", `"kind":"granted"`, "freeze", notAsked},
		{"another set", `"policy_set":"third"`, "freeze", unknown},
		{"patterns not on record", `"policy_set":"new"`, "many", unknown},
		{"a name it does not cover", `"name":"prod/x","policy_set":"new"`, "freeze", notAsked},
		{"a name its old patterns cover", `"name":"prod/x","policy_set":"old"`, "freeze", "allow"},
		{"it spoke", `"policy_set":"new","verdicts":[{"policy":"freeze","at":"request","verdict":"deny"},{"policy":"many","verdict":"error"}]`, "freeze", "deny"},
		{"it spoke though its patterns are not on record", `"policy_set":"new","verdicts":[{"policy":"many","at":"request","verdict":"error"}]`, "many", "error"},
		{"silent at the grant", both + `,"verdicts":[{"policy":"freeze","at":"request","verdict":"deny"}]`, "freeze", "allow"},
		{"spoke at the grant", both + `,"verdicts":[{"policy":"freeze","at":"grant","verdict":"deny"}]`, "freeze", "deny"},
		{"only in the set before", both, "gone", "allow"},
		{"spoke, and only in the set before", both + `,"verdicts":[{"policy":"gone","at":"request","verdict":"error"}]`, "gone", "error"},
		{"covers the name at the request only", `"name":"prod/x",` + both, "freeze", "allow"},
		{"the set at the grant is not known", `"policy_set":"old","policy_set_at_grant":"third"`, "freeze", unknown},
		{"covered at the grant only", `"policy_set_at_grant":"new"`, "freeze", "allow"},
		{"an older record", `"verdicts":[{"policy":"freeze","at":"request","verdict":"deny"},{"policy":"freeze","at":"grant","verdict":"allow"}]`, "freeze", "allow"},
		{"an older record without it", `"verdicts":[{"policy":"many","at":"request","verdict":"deny"}]`, "freeze", notAsked},
	} {
		r := &Replay{cfg: ReplayConfig{Policy: tt.policy}, sets: policySets{}}
		if err := r.Learn([]byte(loadedSets)); err != nil {
			t.Fatal(err)
		}
		rec, err := record.Parse([]byte(`{"name":"prod/db",` + tt.members + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got, _, known := r.recorded(rec)
		if !known {
			got = unknown
		}
		if got != tt.want {
			t.Errorf("%s: it said %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A journal does not say what was around a request, so it is absent, and named as asked for.
func TestReplayDoesNotKnowWhatWasAroundARequest(t *testing.T) {
	asked := map[string]bool{}
	c := caseOf(record.Record{Kind: lock.Granted, Name: "x"}, asked)
	for _, key := range []string{"account.groups", "held:team-a/", "lock.state:incident/x", "lock.holder:incident/x", "lock.account:incident/x"} {
		if !c.Absent(key) || !asked[key] {
			t.Errorf("%s is known", key)
		}
	}
	for _, key := range []string{"local_time:Europe/Berlin", "lock.held", "lock.granted_at_ms", "account"} {
		if c.Absent(key) || asked[key] {
			t.Errorf("%s is not known", key)
		}
	}
	if c = caseOf(record.Record{Kind: lock.Denied, Name: "x"}, asked); !c.Absent("lock.granted_at_ms") {
		t.Error("of a refusal it is known when the lease was granted")
	}
}

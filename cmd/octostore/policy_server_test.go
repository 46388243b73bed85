package main

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/api"
)

func TestPolicyListShowsObservers(t *testing.T) {
	list := policyList{Policies: []api.Policy{
		{Name: "freeze", Mode: "enforce", Match: []string{"prod/**"}, Hooks: []string{"acquire"}, Digest: strings.Repeat("a", 64)},
		{Name: "audit", Mode: "enforce", Match: []string{"**"}, Hooks: []string{"observe"}, Digest: strings.Repeat("b", 64),
			Observer: &api.Observer{After: "1882", LagMS: 1500, Parked: 2, Gaps: 1}},
	}}
	var out strings.Builder
	if err := list.Print(&out); err != nil {
		t.Fatal(err)
	}
	_, observers, found := strings.Cut(out.String(), "\n\n")
	want := "OBSERVER LAG PARKED GAPS DONE UP TO audit 1.5s 2 1 1882"
	if got := strings.Join(strings.Fields(observers), " "); !found || got != want {
		t.Errorf("got %q, want %q in\n%s", got, want, out.String())
	}
}

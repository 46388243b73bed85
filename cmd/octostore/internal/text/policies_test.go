package text

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/api"
)

func TestPolicyListShowsObservers(t *testing.T) {
	list := PolicyList{Policies: []api.Policy{
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

func TestPolicyListShowsBreakers(t *testing.T) {
	list := PolicyList{Policies: []api.Policy{
		{Name: "fine", Digest: "a"}, {Name: "broken", Digest: "b"}, {Name: "mended", Digest: "c"},
	}}
	list.Policies[1].BreakerOpen, list.Policies[1].BreakerOpened = true, 3
	list.Policies[2].BreakerOpened = 1
	var b strings.Builder
	if err := list.Print(&b); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(b.String(), "\n\n")
	const want = "BREAKER  STATE                               OPENED\n" +
		"broken   open: not called, on_error decides  3\n" +
		"mended   closed                              1\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := (PolicyList{Policies: list.Policies[:1]}).Print(&b); err != nil || strings.Contains(b.String(), "BREAKER") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

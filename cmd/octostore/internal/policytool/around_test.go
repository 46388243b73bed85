package policytool

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

func TestFixturesSayWhatIsAroundARequest(t *testing.T) {
	c, err := ParseRequest([]byte(`{"lock":{"held":true,"granted_at_ms":5},"locks":{"incident/db":{"held":true,"holder":"pager","account":"bob"},
		"approval/1":{"held":false}},"held":{"team-a/":3},"account_groups":["github:acme"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.View.Lease.GrantedAt.UnixMilli() != 5 || c.Absent("lock.granted_at_ms") || !c.Absent("lock.expires_at_ms") {
		t.Errorf("%+v", c.View.Lease)
	}
	if l := c.Locks.Get("incident/db").Lease; l == nil || l.Holder != "pager" || l.Account != "bob" || c.Locks.Get("approval/1").Lease != nil || c.Locks.Get("x").Lease != nil {
		t.Errorf("%+v", c.Locks)
	}
	for prefix, want := range map[string]int{"team-a/": 3, "team-b/": 0} {
		if n, _ := c.Locks.HeldUnder(prefix, 10_000); n != want {
			t.Errorf("%s: %d", prefix, n)
		}
	}
	if groups := c.Asked.Actor.Groups; groups != "github:acme\n" {
		t.Errorf("%q", groups)
	}
	c, err = ParseRequest([]byte(`{"account_groups":[]}`))
	if err != nil || c.Asked.Actor.Groups != "\n" {
		t.Errorf("a member of nothing is %q, %v", c.Asked.Actor.Groups, err)
	}
	if c, err = ParseRequest([]byte(`{}`)); err != nil || c.Asked.Actor.Groups != "" {
		t.Errorf("what is not said is %q, %v", c.Asked.Actor.Groups, err)
	}
	for text, want := range map[string]string{
		`{"locks":{"a b":{}}}`:                                 "request.locks.a b: name",
		`{"locks":{"a":{"helt":true}}}`:                        "request.locks.a.helt: is not known; want account, held, holder",
		`{"locks":{"a":{"holder":"x"}}}`:                       `request.locks.a: says who holds it, but it is not held; want "held": true too`,
		`{"locks":{"a":true}}`:                                 "request.locks.a: is true; want an object",
		`{"locks":[]}`:                                         "request.locks: is a list; want an object of objects",
		`{"held":{"a*":1}}`:                                    "request.held.a*: prefix",
		`{"held":{"a":-1}}`:                                    "request.held.a: is -1; want 0 to 10000",
		`{"held":{"a":10001}}`:                                 "request.held.a: is 10001; want 0 to 10000",
		`{"account_groups":"x"}`:                               "request.account_groups: is a string; want a list of strings",
		`{"account_groups":["a",""]}`:                          `request.account_groups[1]: is ""; want a text of one line`,
		`{"account_groups":["a\nb"]}`:                          `request.account_groups[0]: is "a\nb"; want a text of one line`,
		`{"lock":{"name":"x","held":false,"granted_at_ms":1}}`: "request.lock: says who holds it",
	} {
		if _, err := ParseRequest([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestFixturesSayWhatAPolicyMayRead(t *testing.T) {
	f, err := readText(t, `{"reads":["incident/"],"cases":[{"name":"a","expect":{"verdict":"allow"}}]}`)
	if err != nil || len(f.Reads) != 1 || f.Reads[0] != "incident/" {
		t.Errorf("%q, %v", f.Reads, err)
	}
	if _, err := readText(t, `{"reads":["a b"],"cases":[{"name":"a","expect":{"verdict":"allow"}}]}`); err == nil ||
		!strings.Contains(err.Error(), `fixture.reads: "a b" has the character ' '`) {
		t.Error(err)
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

package policytool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func readText(t *testing.T, text string) (Fixture, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := ReadFixtures(dir)
	if err != nil {
		return Fixture{}, err
	}
	return all[0], nil
}

func TestMistakesInFixturesAreNamed(t *testing.T) {
	one := func(members string) string {
		return `{"cases":[{"name":"x","expect":{"verdict":"allow"}` + members + `}]}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"not JSON", `{"cases":`, "a.json: is not JSON at line 1, column 10: unexpected end"},
		{"a comma too many", "{\n  \"load_error\": \"x\",\n}", "a.json: is not JSON at line 3, column 1: invalid character '}'"},
		{"a member twice", `{"load_error":"x","load_error":"y"}`, `fixture: has "load_error" twice`},
		{"an expectation twice", `{"cases":[{"name":"x","expect":{"verdict":"deny","verdict":"allow"}}]}`, `(x).expect: has "verdict" twice`},
		{"nothing expected", `{"cases":[{"name":"x","expect":{}}]}`, "cases[0] (x).expect: is empty; want at least one of notes, priority, reason, retry_after, retry_after_ms, ttl, ttl_ms, verdict, wait, wait_ms"},
		{"an empty verdict", `{"cases":[{"name":"x","expect":{"verdict":""}}]}`, "cases[0] (x).expect.verdict: is empty; want a value, or leave it out"},
		{"no notes expected", `{"cases":[{"name":"x","expect":{"notes":{}}}]}`, "cases[0] (x).expect: is empty"},
		{"null", `{"cases":[{"name":"x","expect":{"verdict":"allow","ttl_ms":null}}]}`, "expect.ttl_ms: is null; want a whole number"},
		{"two documents", `{"load_error":"x"} {}`, "is not JSON at line 1, column 20: invalid character"},
		{"not an object", `[]`, "fixture: is a list; want an object"},
		{"nothing", `{}`, "want either cases or a load_error"},
		{"both", `{"cases":[{"name":"x","expect":{}}],"load_error":"x"}`, "want either cases or a load_error"},
		{"unknown on top", `{"load_error":"x","configuration":{}}`, "fixture.configuration: is not known; want cases, config, load_error"},
		{"another case of letters", `{"Load_Error":"x"}`, "fixture.Load_Error: is not known"},
		{"no name", `{"cases":[{"expect":{"verdict":"allow"}}]}`, "cases[0].name"},
		{"a name for the terminal", `{"cases":[{"name":"\u001b[2Jx","expect":{}}]}`, `cases[0].name: is "\x1b[2Jx"`},
		{"a name twice", `{"cases":[{"name":"x","expect":{"ttl_ms":1}},{"name":"x","expect":{"ttl_ms":1}}]}`, `cases[1].name: is "x"`},
		{"no expectation", `{"cases":[{"name":"x"}]}`, "cases[0] (x).expect: is missing"},
		{"unknown in a case", one(`,"requests":{}`), "cases[0].requests: is not known"},
		{"unknown in expect", `{"cases":[{"name":"x","expect":{"veridct":"deny"}}]}`, "cases[0] (x).expect.veridct: is not known"},
		{"another verdict", `{"cases":[{"name":"x","expect":{"verdict":"no"}}]}`, `expect.verdict: is "no"; want allow, deny or error`},
		{"another verdict on an event", `{"cases":[{"name":"x","event":{},"expect":{"verdict":"allow"}}]}`, "want done or again"},
		{"wrong type", `{"cases":[{"name":"x","expect":{"retry_after_ms":"5"}}]}`, "expect.retry_after_ms: is a string; want a whole number"},
		{"a request and an event", one(`,"request":{},"event":{}`), "want one of them"},
		{"max_fuel", one(`,"max_fuel":-1`), "max_fuel: is -1"},
		{"unknown in request", one(`,"request":{"name":"a"}`), "cases[0] (x).request.name: is not known"},
		{"unknown in lock", one(`,"request":{"lock":{"nmae":"a"}}`), "request.lock.nmae: is not known; want account, expires_at, expires_at_ms, granted_at, granted_at_ms, held, holder, name"},
		{"unknown in queue", one(`,"request":{"queue":{"n":1}}`), "request.queue.n: is not known"},
		{"no name of a lock", one(`,"request":{"lock":{"name":"a//b"}}`), "request.lock.name"},
		{"another hook", one(`,"request":{"hook":"release"}`), `request.hook: is "release"`},
		{"another phase", one(`,"request":{"phase":"later"}`), `request.phase: is "later"`},
		{"negative", one(`,"request":{"ttl_ms":-5}`), "request.ttl_ms: is -5; want 0 to"},
		{"a readable form and its number", one(`,"request":{"ttl":"1h","ttl_ms":1}`), "request.ttl: is there beside ttl_ms; want one of them"},
		{"both of expect", `{"cases":[{"name":"x","expect":{"retry_after_ms":1,"retry_after":"1s"}}]}`, "expect.retry_after: is there beside retry_after_ms; want one of them"},
		{"no duration", one(`,"request":{"wait":"soon"}`), `request.wait: is "soon"; want a duration like "90s"`},
		{"a duration as a number", one(`,"request":{"ttl":60}`), "request.ttl: is 60; want a duration"},
		{"a duration cut", one(`,"request":{"ttl":"1.5ms"}`), `request.ttl: is "1.5ms"; want a duration`},
		{"a negative duration", one(`,"request":{"waited":"-1s"}`), "request.waited_ms: is -1000; want 0 to"},
		{"no time", one(`,"request":{"now":"noon"}`), `request.now: is "noon"; want a time like`},
		{"a time without a zone", one(`,"request":{"lock":{"held":true,"expires_at":"2026-12-24T18:00:00"}}`), `request.lock.expires_at: is "2026-12-24T18:00:00"; want a time like`},
		{"readable, where there is no number", one(`,"request":{"account":"a","hold":"1s"}`), "request.hold: is not known"},
		{"a fraction", one(`,"request":{"ttl_ms":1.5}`), "request.ttl_ms: is 1.5; want a whole number"},
		{"metadata", one(`,"request":{"metadata":{"a":1}}`), "request.metadata.a: is 1; want a string"},
		{"account_held", one(`,"request":{"account_held":{"":1,"prod/":"2"}}`), "request.account_held.prod/: is a string; want a whole number"},
		{"metadata that is none", one(`,"request":{"metadata":[]}`), "request.metadata: is a list; want an object of strings"},
		{"holder of a free lock", one(`,"request":{"lock":{"holder":"ci"}}`), "request.lock: says who holds it, but it is not held"},
		{"empty decision", one(`,"request":{"decision_id":""}`), "request.decision_id: is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := readText(t, tt.text); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "a.json: ") {
				t.Errorf("got %v\nwant one that says %s", err, tt.want)
			}
		})
	}
	if _, err := ReadFixtures(t.TempDir()); err == nil || !strings.Contains(err.Error(), "has no fixtures") {
		t.Errorf("got %v", err)
	}
}

func TestAFixtureIsAFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "a.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFixtures(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

func TestWhatARequestLeavesOutHasDefaults(t *testing.T) {
	f, err := readText(t, `{"config":{"a":1},"cases":[
		{"name":"nothing","expect":{"verdict":"allow"},"max_fuel":7},
		{"name":"all","expect":{"reason":"no","notes":{"k":"v"}},"request":{"hook":"renew","phase":"grant",
			"lock":{"name":"prod/db","held":true,"holder":"h","account":"b","expires_at_ms":5},"queue":{"length":3},"account":"a",
			"holder":"ci","reason":"why","remote_addr":"192.0.2.1:7","ttl_ms":1,"wait_ms":2,"waited_ms":3,"metadata":{"k":"v"},
			"account_held":{"":4,"prod/":2},"now_ms":9,"decision_id":"d"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	q := f.Cases[0].Case
	a := q.Asked
	if q.Hook != "acquire" || q.Phase != "request" || a.Name != "example" || q.View.Lease != nil || q.View.Waiters != 0 || a.Actor.Account != "local" ||
		a.TTL != time.Minute || a.Wait != 0 || q.Waited != 0 || q.Now.UnixMilli() != 1767225600000 || a.RequestID != "fixture" || q.Held("prod/") != 0 {
		t.Errorf("got %+v", q)
	}
	if e := f.Cases[0]; e.Verdict != "allow" || e.Reason != nil || e.MaxFuel != 7 {
		t.Errorf("got %+v", e)
	}
	q = f.Cases[1].Case
	a = q.Asked
	if q.Hook != "renew" || q.Phase != "grant" || a.Name != "prod/db" || q.View.Lease.Holder != "h" || q.View.Lease.Account != "b" ||
		q.View.Lease.ExpiresAt.UnixMilli() != 5 || q.View.Waiters != 3 || a.Actor.Account != "a" || a.Holder != "ci" || a.Reason != "why" ||
		a.Actor.RemoteAddr != "192.0.2.1:7" || a.TTL != time.Millisecond || a.Wait != 2*time.Millisecond || q.Waited != 3*time.Millisecond ||
		a.Metadata["k"] != "v" || q.Held("") != 4 || q.Held("prod/") != 2 || q.Now.UnixMilli() != 9 || a.RequestID != "d" || q.Absent("lock.holder") {
		t.Errorf("got %+v", q)
	}
}

// Times and durations can be written as people read them.
func TestFixtureTimesAreReadable(t *testing.T) {
	f, err := readText(t, `{"cases":[{"name":"x",
		"request":{"now":"2026-12-24T18:00:00+01:00","ttl":"1h","wait":"30s","waited":"1d2h",
			"lock":{"name":"a","held":true,"expires_at":"2026-12-25"}},
		"expect":{"ttl":"15m","wait":"0","retry_after":"2h"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	e := f.Cases[0]
	q := e.Case
	if q.Now.UnixMilli() != 1798131600000 || q.Asked.TTL != time.Hour || q.Asked.Wait != 30*time.Second || q.Waited != 26*time.Hour ||
		q.View.Lease.ExpiresAt.UnixMilli() != 1798156800000 {
		t.Errorf("got %+v", q)
	}
	if *e.TTL != 900_000 || *e.Wait != 0 || *e.Retry != 7_200_000 {
		t.Errorf("got %+v", e)
	}
}

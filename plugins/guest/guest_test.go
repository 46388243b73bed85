package guest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/pattern"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/guesttest"
	"github.com/octostore/octostore/plugins/guest/internal/host"
	"github.com/octostore/octostore/plugins/guest/strict"
)

// policy registers a check for one test.
func policy(t testing.TB, check func(guest.Request) guest.Verdict) {
	guest.Check(check)
	t.Cleanup(func() { host.Check = nil })
}

func TestPolicyReadsTheRequest(t *testing.T) {
	r := guesttest.NewRequest()
	r.Lock = guesttest.Lock{Name: "prod/db", Held: true, Holder: "ci-1", Account: "bob", ExpiresAtMS: 1_767_225_660_500}
	r.Queue.Length, r.Holder, r.Reason, r.RemoteAddr = 3, "ci-2", "deploy", "192.0.2.1:7"
	r.WaitMS, r.WaitedMS, r.Metadata = 30_000, 1500, map[string]string{"ticket": "OPS-7", "empty": ""}
	r.AccountHeld = map[string]int64{"": 5, "prod/": 2}
	policy(t, func(q guest.Request) guest.Verdict {
		for field, values := range map[string][2]any{
			"hook": {q.Hook(), guest.HookAcquire}, "phase": {q.Phase(), guest.PhaseRequest},
			"lock": {q.LockName() + " " + q.LockHolder() + " " + q.LockAccount(), "prod/db ci-1 bob"}, "held": {q.LockHeld(), true},
			"expires": {q.LockExpiresAt(), time.UnixMilli(1_767_225_660_500).UTC()}, "queue": {q.QueueLength(), 3},
			"who": {q.Account() + " " + q.Holder() + " " + q.Reason() + " " + q.RemoteAddr(), "local ci-2 deploy 192.0.2.1:7"},
			"ttl": {q.TTL(), time.Minute}, "wait": {q.Wait(), 30 * time.Second}, "waited": {q.Waited(), 1500 * time.Millisecond},
			"all": {q.Held(""), 5}, "prod": {q.Held("prod/"), 2}, "test": {q.Held("test/"), 0},
			"now": {q.Now().Format(time.RFC3339), "2026-01-01T00:00:00Z"}, "id": {q.DecisionID(), "fixture"},
		} {
			if values[0] != values[1] {
				t.Errorf("%s: got %v, want %v", field, values[0], values[1])
			}
		}
		for key, want := range map[string]string{"ticket": "OPS-7 true", "empty": " true", "none": " false"} {
			if value, there := q.Metadata(key); fmt.Sprint(value, " ", there) != want {
				t.Errorf("metadata.%s is %q, %v", key, value, there)
			}
		}
		if s := q.JSON(); !strings.Contains(s, `"name":"prod/db"`) || strings.Contains(s, "account_held") {
			t.Error(s)
		}
		return guest.Allow
	})
	if a := guesttest.Ask(r); a.Verdict != "allow" {
		t.Error(a)
	}
	policy(t, func(q guest.Request) guest.Verdict {
		if q.LockHeld() || q.LockHolder() != "" || !q.LockExpiresAt().IsZero() {
			t.Error("a free lock has a holder")
		}
		return guest.Allow
	})
	guesttest.Ask(guesttest.NewRequest())
}

func TestPolicyAnswersAreHeard(t *testing.T) {
	r := guesttest.NewRequest()
	r.WaitMS = 30_000
	policy(t, func(q guest.Request) guest.Verdict {
		q.CapTTL(5 * time.Minute)
		q.CapTTL(time.Millisecond) // a second is the least
		q.CapWait(-1)
		q.SetPriority(guest.Normal)
		q.SetPriority(guest.Front)
		q.Note("who", q.Account())
		guest.Log(guest.Warn, "seen ", q.LockName())
		return guest.Deny("not ", "today").RetryAfter(1500 * time.Microsecond)
	})
	a := guesttest.Ask(r)
	if a.Verdict != "deny" || a.Reason != "not today" || a.RetryAfterMS != 2 {
		t.Errorf("%+v", a)
	}
	if a.TTLMS != abi.MinTTLCap || a.WaitMS != 0 || a.Priority != "normal" || a.Notes["who"] != "local" {
		t.Errorf("%+v", a)
	}
	if fmt.Sprint(a.Log) != "[{2 seen example}]" {
		t.Errorf("%+v", a.Log)
	}
	r.Phase = guest.PhaseGrant
	if a := guesttest.Ask(r); a.TTLMS != 60_000 || a.WaitMS != 30_000 || a.Priority != "" {
		t.Error("a request that has waited is capped")
	}
}

// The stand-in has the bounds of the real host.
func TestStandInIsAsStrictAsTheHost(t *testing.T) {
	for name, check := range map[string]func(guest.Request) guest.Verdict{
		"a panic":          func(guest.Request) guest.Verdict { panic("oh") },
		"a wrong priority": func(q guest.Request) guest.Verdict { q.SetPriority(2); return guest.Allow },
		"too many notes":   func(q guest.Request) guest.Verdict { return notes(q, abi.MaxNotes+1, 1) },
		"too large notes":  func(q guest.Request) guest.Verdict { return notes(q, 2, abi.MaxNoteBytes/2) },
	} {
		policy(t, check)
		if a := guesttest.Ask(guesttest.NewRequest()); a.Verdict != "error" || a.Reason != "trap" || a.Err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	policy(t, func(q guest.Request) guest.Verdict {
		notes(q, abi.MaxNotes, 10)
		for range abi.MaxLogLines + 1 {
			guest.Log(guest.Info, strings.Repeat("x", abi.MaxLogLine+1))
		}
		return guest.Deny(strings.Repeat("x", abi.MaxReason+1))
	})
	a := guesttest.Ask(guesttest.NewRequest())
	if len(a.Reason) != abi.MaxReason || len(a.Log) != abi.MaxLogLines || len(a.Log[0].Text) != abi.MaxLogLine || len(a.Notes) != abi.MaxNotes {
		t.Errorf("%d bytes of reason, %d lines, %d notes", len(a.Reason), len(a.Log), len(a.Notes))
	}
}

func notes(q guest.Request, n, size int) guest.Verdict {
	for i := range n {
		q.Note(fmt.Sprint(i), strings.Repeat("x", size))
	}
	return guest.Allow
}

// Strings stay what they are until the end of the call, whatever is asked for after
// them and however long it is.
func TestStringsLiveAsLongAsTheCall(t *testing.T) {
	r := guesttest.NewRequest()
	r.Reason, r.Holder = strings.Repeat("r", 3000), strings.Repeat("h", 9000)
	policy(t, func(q guest.Request) guest.Verdict {
		var all []string
		for range 3 {
			all = append(all, q.LockName(), q.Reason(), q.Holder(), q.Account())
		}
		for i, s := range all {
			if want := []string{"example", r.Reason, r.Holder, "local"}[i%4]; s != want {
				t.Errorf("string %d is %.20q", i, s)
			}
		}
		return guest.Deny(q.Reason()[:400], q.LockName())
	})
	for range 2 {
		if a := guesttest.Ask(r); a.Reason != r.Reason[:400]+"example" {
			t.Errorf("%q", a.Reason)
		}
	}
}

// What makes garbage costs fuel in some later call, so that the same request would
// not cost the same.
func TestGettersAndRefusalsDoNotAllocate(t *testing.T) {
	policy(t, func(q guest.Request) guest.Verdict {
		value, _ := q.Metadata("ticket")
		_, _ = q.TTL(), q.Held("prod/")
		_, _ = q.LockGrantedAt(), q.HeldByAll("prod/")
		q.OtherLock("incident/db")
		q.InGroup("github:acme")
		q.LocalTime("Europe/Berlin")
		if !guest.MatchNames([]string{"prod/**", "!prod/tmp/**"}, q.LockName()) {
			return guest.Deny("account ", q.Account(), " may not use ", q.LockName(), value)
		}
		return guest.Allow
	})
	host.Now = silent{}
	defer func() { host.Now = nil }()
	if n := testing.AllocsPerRun(1000, func() { host.RunCheck() }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// silent answers every getter with the same, and keeps nothing.
type silent struct{}

func (silent) Get(key string) (string, bool) {
	if strings.HasPrefix(key, abi.PrefixLocalTime) {
		return "2026-07-01T14:30:00+02:00", true
	}
	return "some text", true
}
func (silent) GetI64(string) int64 { return 7 }
func (silent) Deny(string)         {}
func (silent) RetryAfterMS(int64)  {}
func (silent) Cap(string, int64)   {}
func (silent) Note(_, _ string)    {}
func (silent) Log(int32, string)   {}

// A configuration that the policy does not read is an error.
func TestConfigureThatIsMissingRefusesAConfiguration(t *testing.T) {
	host.Configure = nil
	for config, taken := range map[string]bool{"{}": true, " { }\n": true, `{"a":1}`: false, `{"a": "something that is longer"}`: false, "7": false, "[]": false} {
		err := guesttest.Configure(config)
		if (err == nil) != taken || err != nil && err.Error() != "config: the module has no configure; remove it" {
			t.Errorf("%s: got %v", config, err)
		}
	}
}

func TestConfigureAndObserve(t *testing.T) {
	guest.Configure(func(config []byte) error {
		if string(config) != `{"a":1}` {
			return errors.New("a: want 1")
		}
		return nil
	})
	guest.Observe(func(e guest.Event) error {
		if e.Text("kind") != "granted" || e.Text("metadata", "ticket") != `a "b" ä😀` || e.Int("seq") != 7 || e.Text("none") != "" || e.Int("kind") != 0 {
			return errors.New("not as it was written")
		}
		return nil
	})
	t.Cleanup(func() { host.Configure, host.Observe = nil, nil })
	if err := guesttest.Configure(`{"a":1}`); err != nil {
		t.Error(err)
	}
	if err := guesttest.Configure(`{"a":2}`); err == nil || err.Error() != "a: want 1" {
		t.Error(err)
	}
	if a := guesttest.Observe(`{"kind":"granted","seq":7,"metadata":{"x":"1","ticket":"a \"b\" \u00e4\ud83d\ude00"},"prev":""}`); a.Verdict != "done" {
		t.Errorf("%+v", a)
	}
	if a := guesttest.Observe(`{"kind":"denied"}`); a.Verdict != "again" || a.Reason != "not as it was written" {
		t.Errorf("%+v", a)
	}
}

// Patterns in a policy's configuration mean what they mean in policies.json.
func TestPatternsMatchAsThoseOfTheManifest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, most int) string {
		b := make([]byte, 1+random.IntN(most))
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		return string(b)
	}
	matched := 0
	for range 60_000 {
		patterns := make([]string, 1+random.IntN(3))
		for i := range patterns {
			patterns[i] = strings.ReplaceAll(word("aa:@+*/DD!//", 10), "D", "**")
		}
		theirs, err := pattern.Parse(patterns)
		if refused := strict.Read([]byte(configOf(patterns)), func(o *strict.Object) { o.Names("match") }); (refused != nil) != (err != nil) {
			t.Fatalf("%q: %v, in policies.json %v", patterns, refused, err)
		}
		if err != nil {
			continue
		}
		name := word("aaa:@+~///", 12)
		if _, err := lock.ParseName(name); err != nil {
			continue
		}
		want := theirs.Match(lock.Name(name))
		if got := guest.MatchNames(patterns, name); got != want {
			t.Fatalf("%q and %s: %v, in policies.json %v", patterns, name, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < 100 {
		t.Errorf("only %d matched", matched)
	}
}

func configOf(patterns []string) string {
	b, err := json.Marshal(map[string]any{"match": patterns})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A caller chooses the name, so the work must not multiply with every "**".
func TestPatternsOfManyDeepsAreQuick(t *testing.T) {
	name := strings.Repeat("a/", lock.MaxName/2-1) + "a"
	start := time.Now()
	if guest.MatchNames([]string{strings.Repeat("**/a/", 30) + "x"}, name) {
		t.Error("it matches")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestMatchText(t *testing.T) {
	for _, tt := range []struct{ pattern, yes, no string }{
		{"OPS-?*", "OPS-1 OPS-123", "OPS- XOPS-1 ops-1"},
		{"*", "a abc", ""},
		{"ci-*", "ci- ci-1", "xci-1"},
		{"a*b*c", "abc axbxc abcbc", "ab abcd"},
		{"??", "ab", "a abc"},
		{"plain", "plain", "plain2 xplain"},
	} {
		for _, s := range strings.Fields(tt.yes) {
			if !guest.MatchText(tt.pattern, s) {
				t.Errorf("%s does not match %s", tt.pattern, s)
			}
		}
		for _, s := range strings.Fields(tt.no) {
			if guest.MatchText(tt.pattern, s) {
				t.Errorf("%s matches %s", tt.pattern, s)
			}
		}
	}
	if !guest.MatchText("*", "") || guest.MatchText("?*", "") || guest.MatchText("", "a") {
		t.Error("the empty text")
	}
}

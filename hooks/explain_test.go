package hooks

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
)

func TestExplainSaysWhatEachWouldSayAndWhy(t *testing.T) {
	h := newHouse(t)
	h.write("allows.wasm", check("i32.const 1 "+at("key")+"call $log "+at("ttl_ms")+"i64.const 5000 call $cap i32.const 0"))
	h.write("denies.wasm", denies)
	h.write("traps.wasm", traps)
	h.write("renews.wasm", denies)
	host := h.open(
		entry("allows", `"match":["**","!test/**","prod/*"]`),
		entry("denies", `"match":["prod/**","!prod/tmp/**"]`),
		entry("traps", `"mode":"shadow"`),
		entry("renews", `"hooks":["renew","break"]`),
	)
	explain := func(q core.Question) (got []string, refusal error) {
		t.Helper()
		e, err := host.Explain(t.Context(), q, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range e.Policies {
			text := fmt.Sprintf("%s %s %v", p.Name, p.Why, p.Said.Logs)
			if p.Asked {
				text += fmt.Sprintf(" %s %s%s %s", p.Said.Verdict, p.Said.Reason, p.Said.FaultKind, p.Said.TTL)
			}
			got = append(got, text)
		}
		return got, e.Refusal
	}
	for _, tt := range []struct {
		hook core.Hook
		name string
		want []string
		by   string
	}{
		{"acquire", "prod/db", []string{
			`allows "prod/*" matches [{1 key}] allow  5s`, `denies "prod/**" matches [] deny not today 1m0s`,
			`traps "**" matches [] error trap 1m0s`, `renews its hooks are [renew break] []`,
		}, "denies"},
		{"acquire", "prod/tmp/x", []string{
			`allows "**" matches [{1 key}] allow  5s`, `denies "!prod/tmp/**" excludes the name []`,
			`traps "**" matches [] error trap 1m0s`, `renews its hooks are [renew break] []`,
		}, ""},
		{"renew", "test/x", []string{
			`allows its hooks are [acquire] []`, `denies its hooks are [acquire] []`,
			`traps its hooks are [acquire] []`, `renews "**" matches [] deny not today 1m0s`,
		}, "renews"},
		{"acquire", "test/x", []string{
			`allows "!test/**" excludes the name []`, `denies none of its patterns matches []`,
			`traps "**" matches [] error trap 1m0s`, `renews its hooks are [renew break] []`,
		}, ""},
	} {
		q := question(lock.Name(tt.name))
		q.Hook = tt.hook
		got, refusal := explain(q)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s %s:\n got %q\nwant %q", tt.hook, tt.name, got, tt.want)
		}
		var denied *core.DeniedError
		if errors.As(refusal, &denied) != (tt.by != "") || denied != nil && denied.Policy != tt.by {
			t.Errorf("%s: it would be refused with %v", tt.name, refusal)
		}
	}
	for _, s := range host.Policies() {
		if s.Calls+s.Denials+s.Errors != 0 {
			t.Errorf("%s counted what was only explained: %+v", s.Name, s)
		}
	}
}

// The time of an explanation is the one that is asked about; without one it is now.
func TestExplainAsksAtTheTimeThatIsGiven(t *testing.T) {
	h := newHouse(t)
	h.write("clock.wasm", check(at("now_ms")+"i32.const 500 i32.const 100 call $get i32.const 500 i32.const 13 call $deny drop i32.const 1"))
	host := h.open(entry("clock"))
	asked := time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)
	e, err := host.Explain(t.Context(), question("x"), asked)
	if err != nil || e.Policies[0].Said.Reason != fmt.Sprint(asked.UnixMilli()) {
		t.Errorf("got %+v, %v", e, err)
	}
	before := time.Now().UnixMilli()
	e, err = host.Explain(t.Context(), question("x"), time.Time{})
	if n, _ := strconv.ParseInt(e.Policies[0].Said.Reason, 10, 64); err != nil || n < before || n > time.Now().UnixMilli() {
		t.Errorf("now is %d; got %+v, %v", before, e, err)
	}
}

package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

var errBroken = &guest.Fault{Kind: "trap", Err: errors.New("broken")}

// Each step is a word: fail and answer are calls that end so, enter begins a call that
// does not end, busy is one for which there was no place, aside a start that failed, and
// a duration goes by. What comes of the step follows a colon: no for a call that is not
// made, opens and closes for what it does to the breaker.
func TestBreaker(t *testing.T) {
	const opened = "fail fail fail fail fail:opens "
	for _, tt := range []struct{ name, steps string }{
		{"closed as long as there are answers in between", "fail fail fail fail answer fail fail fail fail answer"},
		{"opens after five in a row", opened + "fail:no answer:no"},
		{"probes after a pause", opened + "99ms answer:no 1ms answer:closes answer fail answer"},
		{"counts anew once closed", opened + "100ms answer:closes fail fail fail fail answer"},
		{"opens again", opened + "100ms answer:closes " + opened + "99ms answer:no 1ms answer:closes"},
		{"pauses twice as long after each probe", opened +
			"100ms fail 199ms fail:no 1ms fail 399ms fail:no 1ms fail 799ms fail:no 1ms answer:closes"},
		{"never pauses longer than half a minute", opened +
			"100ms fail 200ms fail 400ms fail 800ms fail 1600ms fail 3200ms fail 6400ms fail 12800ms fail 25600ms fail " +
			"29999ms fail:no 1ms fail 29999ms fail:no 1ms answer:closes"},
		{"begins with a short pause again", opened + "100ms fail 200ms answer:closes " + opened + "100ms answer:closes"},
		{"one probe at a time", opened + "100ms enter answer:no 1h answer:no"},
		{"a probe without a place lets the next one try", opened + "100ms busy busy answer:closes"},
		{"places that are missing do not count", "fail fail fail fail busy busy answer"},
		{"starts that fail aside count", "aside aside aside aside aside:opens answer:no"},
		{"starts that fail aside count once in a pause", opened + "aside aside 100ms aside 199ms answer:no 1ms answer:closes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b breaker
				for n, step := range strings.Fields(tt.steps) {
					what, want, _ := strings.Cut(step, ":")
					if got := stepOf(t, &b, what); got != want {
						t.Errorf("step %d, %s: got %q, want %q", n, what, got, want)
					}
				}
			})
		})
	}
}

func stepOf(t *testing.T, b *breaker, what string) string {
	t.Helper()
	words := map[transition]string{unchanged: "", opens: "opens", closes: "closes"}
	if d, err := time.ParseDuration(what); err == nil {
		time.Sleep(d)
		return ""
	}
	if what == "aside" {
		return words[b.failedInBackground(errBroken)]
	}
	if peeked := b.peek() != nil; peeked {
		if _, f := b.enter(); f == nil || f.Kind != breakerOpen {
			t.Errorf("peek and enter differ: %v", f)
		}
		return "no"
	}
	probe, f := b.enter()
	if f != nil {
		return "no"
	}
	if probe && what != "enter" {
		defer b.leave()
	}
	changed := unchanged
	switch what {
	case "fail":
		changed = b.failed(probe, errBroken)
	case "answer":
		changed, _, _ = b.answered(probe)
	}
	return words[changed]
}

// A call that began before the breaker opened says nothing about the policy of now.
func TestBreakerIgnoresCallsFromBeforeItOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		for range failuresToOpen {
			b.failed(false, errBroken)
		}
		b.failed(false, errBroken)
		if changed, _, _ := b.answered(false); changed != unchanged || !b.isOpen() {
			t.Error("an old answer closes it")
		}
		time.Sleep(firstPause)
		if probe, f := b.enter(); !probe || f != nil {
			t.Errorf("an old failure makes the pause longer: %v", f)
		}
	})
}

// fails traps if more than an hour is asked for.
var fails = check(at("ttl_ms") + "call $get_i64 i64.const 3600000 i64.gt_s if unreachable end i32.const 0")

func failing(yes bool) core.Question {
	q := question("prod/db")
	if yes {
		q.Asked.TTL = 2 * time.Hour
	}
	return q
}

// Whatever requests come, a policy that fails is called a few times, then once in half a
// minute; all the rest costs nothing, is on record, and is answered by on_error.
func TestBreakerBoundsTheCallsOfAPolicyThatFails(t *testing.T) {
	for _, tt := range []struct{ members, answer string }{
		{`"on_error":"deny"`, "error of p"}, {`"on_error":"allow"`, "yes"}, {`"mode":"shadow"`, "yes"},
	} {
		t.Run(tt.members, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.write("p.wasm", fails)
				var log bytes.Buffer
				host, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p", tt.members)), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				reasons := map[string]int{}
				const requests, every = 60_000, 10 * time.Millisecond // ten minutes of them
				for range requests {
					v, err := host.Judge(t.Context(), failing(true))
					if got, want := said(v, err), "p error; "+tt.answer; got != want {
						t.Fatalf("got %s, want %s", got, want)
					}
					reasons[v.Verdicts[0].Reason]++
					time.Sleep(every)
				}
				// 100 ms, 200 ms and so on: nine probes in the first minute, then one in half a minute.
				s := host.Policies()[0]
				most := uint64(failuresToOpen + 9 + 2*10)
				if s.Calls < failuresToOpen+9 || s.Calls > most || s.Starts > most+1 || s.Errors != requests {
					t.Errorf("%d calls, %d starts, %d errors; want at most %d calls, each with a start", s.Calls, s.Starts, s.Errors, most)
				}
				if reasons[breakerOpen] < requests-2*int(most) || !s.BreakerOpen || s.BreakerOpened != 1 {
					t.Errorf("%v, open %v, opened %d", reasons, s.BreakerOpen, s.BreakerOpened)
				}
				for host.Policies()[0].BreakerOpen {
					time.Sleep(every)
					_, _ = host.Judge(t.Context(), failing(false))
				}
				if got := said(host.Judge(t.Context(), failing(false))); got != "yes" {
					t.Errorf("after it has closed: %s", got)
				}
				if err := host.Close(); err != nil {
					t.Error(err)
				}
				for _, line := range []string{"its breaker is open", "its breaker is closed"} {
					if n := strings.Count(log.String(), line); n != 1 {
						t.Errorf("%d lines say that %s, want 1", n, line)
					}
				}
			})
		})
	}
}

// Requests that wait for a place when the breaker opens are let in and do not call any more.
func TestBreakerBoundsTheCallsOfRequestsThatWait(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", traps)
	host := h.open(entry("p"))
	slots := host.engine.slots
	for range slots.most {
		if err := slots.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	const requests = 50
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			if got := said(host.Judge(context.Background(), question("a"))); got != "p error; error of p" {
				t.Errorf("got %s", got)
			}
		})
	}
	waiting := func() int {
		slots.mu.Lock()
		defer slots.mu.Unlock()
		return len(slots.checks)
	}
	for waiting() < requests {
		time.Sleep(time.Millisecond)
	}
	for range slots.most {
		slots.done(false)
	}
	all.Wait()
	if s := host.Policies()[0]; s.Calls > uint64(failuresToOpen+slots.most-1) || s.Errors != requests || s.BreakerOpened != 1 {
		t.Errorf("%d calls by %d requests, %d errors; opened %d times", s.Calls, requests, s.Errors, s.BreakerOpened)
	}
}

// An observer that has a say in requests as well is given events however it fails there.
func TestBreakerDoesNotKeepEventsFromAnObserver(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", wasmtest.Assemble(guestOf(
		wasmtest.Func{Name: "check", Type: "-> i32", Code: "unreachable"},
		wasmtest.Func{Name: "observe", Type: "-> i32", Code: "i32.const 0"},
	)))
	host := h.open(entry("p", `"hooks":["acquire","observe"]`))
	for !host.Policies()[0].BreakerOpen {
		_, _ = host.Judge(t.Context(), question("a"))
	}
	for range 3 {
		if there, f := host.observe(t.Context(), "p", &record.Line{Name: []byte("a"), Bytes: []byte(`{"seq":1,"kind":"granted","name":"a"}`)}); !there || f != nil {
			t.Errorf("got %v, %v", there, f)
		}
	}
}

// A loaded policy begins with a closed breaker, whatever was before.
func TestBreakerIsClosedAfterAReload(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", fails)
	host := h.open(entry("p"))
	for !host.Policies()[0].BreakerOpen {
		_, _ = host.Judge(t.Context(), failing(true))
	}
	v, _ := host.Judge(t.Context(), failing(false))
	if v.Verdicts[0].Reason != breakerOpen {
		t.Errorf("got %+v", v.Verdicts)
	}
	if _, err := host.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := said(host.Judge(t.Context(), failing(false))); got != "yes" {
		t.Errorf("got %s", got)
	}
}

// Explain says what a request would meet, and makes no probe of it.
func TestExplainNamesAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.write("p.wasm", fails)
		host := h.open(entry("p"))
		for range failuresToOpen {
			_, _ = host.Judge(t.Context(), failing(true))
		}
		e, err := host.Explain(t.Context(), failing(false), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		o := e.Policies[0].Said
		if o.FaultKind != breakerOpen || !strings.Contains(fmt.Sprint(o.Fault), "not called for 100ms") || !strings.Contains(fmt.Sprint(o.Fault), "trap") {
			t.Errorf("got %s: %v", o.FaultKind, o.Fault)
		}
		time.Sleep(firstPause)
		if e, _ = host.Explain(t.Context(), failing(false), time.Now()); e.Policies[0].Said.Verdict != "allow" {
			t.Errorf("got %+v", e.Policies[0].Said)
		}
		if !host.Policies()[0].BreakerOpen {
			t.Error("it is closed by what was only explained")
		}
	})
}

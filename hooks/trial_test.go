package hooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

func openTrial(t testing.TB, module []byte, cfg TrialConfig) *Trial {
	t.Helper()
	trial, err := OpenTrial(t.Context(), module, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trial.Close(); err != nil {
			t.Error(err)
		}
	})
	return trial
}

func TestTrialAnswersAsAServerWould(t *testing.T) {
	c := Case{Question: question("prod/db"), Now: time.UnixMilli(1_000)}
	for _, tt := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"allow", allows, "allow  ttl 1m0s wait 30s [] []"},
		{"deny", denies, "deny not today retry 1m0s ttl 1m0s wait 30s [] []"},
		{"deny without a reason", check("i32.const 1"), "deny denied by mine ttl 1m0s wait 30s [] []"},
		{"trap", traps, "error trap"},
		{"out of fuel", loops, "error out_of_fuel"},
		{"another result", check("i32.const 7"), "error result"},
		{"caps", check(at("ttl_ms") + "i64.const 5000 call $cap " + at("wait_ms") + "i64.const 0 call $cap i32.const 0"), "allow  ttl 5s wait 0s [] []"},
		{"caps that do not lower", check(at("ttl_ms") + "i64.const 5000000 call $cap i32.const 0"), "allow  ttl 1m0s wait 30s [] []"},
		{"note and log", check(at("key") + at("value") + "call $note i32.const 2 " + at("not today") + "call $log i32.const 0"), "allow  ttl 1m0s wait 30s [{mine key value}] [{2 not today}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trial := openTrial(t, tt.module, TrialConfig{Name: "mine", Fuel: 100_000})
			if err := trial.Configure(nil); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				o := trial.Ask(c)
				got := fmt.Sprint(o.Verdict, " ", o.Reason)
				if o.RetryAfter > 0 {
					got += " retry " + o.RetryAfter.String()
				}
				if o.Fault != nil {
					got = "error " + o.FaultKind
				} else {
					got += fmt.Sprint(" ttl ", o.TTL, " wait ", o.Wait, " ", o.Notes, " ", o.Logs)
				}
				if got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if o.Fresh != (i == 0 || o.Fault != nil) {
					t.Errorf("call %d was answered by a fresh instance: %v", i, o.Fresh)
				}
				if o.Fuel <= 0 || o.Fuel > trial.Fuel()+manifest.FirstCallFuel {
					t.Errorf("it used %d", o.Fuel)
				}
			}
		})
	}
}

func TestTrialObserves(t *testing.T) {
	c := Case{Event: []byte(`{"seq":7,"kind":"granted","name":"prod/db"}`), Now: time.UnixMilli(1_000)}
	observe := func(code string) []byte {
		return wasmtest.Assemble(guestOf(wasmtest.Func{Name: "observe", Type: "-> i32", Code: code}))
	}
	for _, tt := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"done", observe("i32.const 0"), "done "},
		{"again", observe(at("not today") + "call $deny i32.const 1"), "again observe returned 1: not today"},
		{"trap", observe("unreachable"), "again wasm error: unreachable"},
		{"no observer", allows, "again it does not export observe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trial := openTrial(t, tt.module, TrialConfig{})
			if err := trial.Configure(nil); err != nil {
				t.Fatal(err)
			}
			o := trial.Ask(c)
			got := o.Verdict + " "
			if o.Fault != nil {
				got += o.Fault.Error()
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// counts denies with how often this instance was asked.
var counts = check("global.get 0 i64.const 1 i64.add global.set 0 i32.const 600 global.get 0 i32.wrap_i64 i32.const 48 i32.add i32.store8 i32.const 600 i32.const 1 call $deny i32.const 1")

func TestTrialRenewsItsInstance(t *testing.T) {
	trial := openTrial(t, counts, TrialConfig{})
	c := Case{Question: question("x"), Now: time.Now()}
	var got []string
	ask := func() { got = append(got, trial.Ask(c).Reason) }
	ask()
	ask()
	trial.Renew()
	ask()
	ask()
	if err := trial.Configure(json.RawMessage(`{}`)); err != nil {
		t.Fatal(err)
	}
	ask()
	if want := []string{"1", "2", "1", "2", "1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := trial.Memory(); n != 1<<16 {
		t.Errorf("it has %d bytes of memory", n)
	}
}

func TestTrialSaysWhyAModuleIsRefused(t *testing.T) {
	if _, err := OpenTrial(t.Context(), []byte("hello"), TrialConfig{}); err == nil || !strings.Contains(err.Error(), "not a WebAssembly module") {
		t.Errorf("got %v", err)
	}
	picky := wasmtest.Assemble(guestOf(
		wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"},
		wasmtest.Func{Name: "configure", Type: "-> i32", Code: // anything but {} is refused
		at("config") + "i32.const 500 i32.const 9 call $get i32.const 2 i32.eq if i32.const 0 return end " +
			"i32.const 1 " + at("key") + "call $log " + at("not today") + "call $deny i32.const 1"},
	))
	trial := openTrial(t, picky, TrialConfig{})
	if err := trial.Configure(json.RawMessage(`{"a": 1}`)); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("got %v", err)
	}
	c := Case{Question: question("x"), Now: time.Now()}
	if o := trial.Ask(c); o.FaultKind != "configure" {
		t.Errorf("got %+v", o)
	}
	if err := trial.Configure(nil); err != nil {
		t.Error(err)
	}
	if o := trial.Ask(c); o.Verdict != "allow" {
		t.Errorf("got %+v", o)
	}
}

// Unknown fields are absent, by their own key and in the document.
func TestTrialHidesAbsentKeys(t *testing.T) {
	const show = "i32.const 500 i32.const 4000 call $get local.tee 0 i32.const -1 i32.eq if i32.const 0 return end i32.const 500 local.get 0 call $deny i32.const 1"
	var asked []string
	c := Case{Question: question("prod/db"), Now: time.Now(), Absent: func(key string) bool {
		unknown := key == abi.KeyWait || key == abi.KeyQueueLength || strings.HasPrefix(key, abi.KeyAccountHeld)
		if unknown {
			asked = append(asked, key)
		}
		return unknown
	}}
	for _, key := range []string{"wait_ms", "account.held:prod/"} {
		if o := openTrial(t, check(at(key)+show), TrialConfig{}).Ask(c); o.Verdict != "allow" {
			t.Errorf("%s: got %+v", key, o)
		}
	}
	if !slices.Contains(asked, "wait_ms") || !slices.Contains(asked, "account.held:prod/") {
		t.Errorf("asked for %q", asked)
	}
	document := openTrial(t, check(at("request")+show), TrialConfig{}).Ask(c).Reason
	if strings.Contains(document, "wait_ms") || strings.Contains(document, "queue") || !strings.Contains(document, `"lock":{"held":false,"name":"prod/db"}`) ||
		!strings.Contains(document, `"metadata":{"ticket":"OPS-7"}`) {
		t.Errorf("the document is %s", document)
	}
}

func TestTrialTakesEvents(t *testing.T) {
	for code, want := range map[string]string{
		"i32.const 0": "done ",
		"i32.const 1 " + at("key") + "call $log " + at("not today") + "call $deny i32.const 3": "again not today result [{1 key}]",
		"i32.const 3":               "again  result",
		"unreachable":               "again  trap",
		"loop br 0 end i32.const 0": "again  out_of_fuel",
	} {
		trial := openTrial(t, watching(code), TrialConfig{Fuel: 100_000})
		for range 2 {
			o := trial.Ask(Case{Event: []byte(line), Now: time.Now()})
			got := o.Verdict + " " + o.Reason
			if o.Fault != nil {
				got += " " + o.FaultKind
			}
			if len(o.Logs) > 0 {
				got += fmt.Sprint(" ", o.Logs)
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", code, got, want)
			}
		}
	}
}

// A module is not asked about hooks that it does not implement.
func TestTrialOfAMissingExport(t *testing.T) {
	o := openTrial(t, watching("i32.const 0"), TrialConfig{}).Ask(Case{Question: question("x")})
	if o.Verdict != "error" || o.Fault.Error() != "it does not export check" {
		t.Errorf("got %+v", o)
	}
	o = openTrial(t, allows, TrialConfig{}).Ask(Case{Event: []byte(line)})
	if o.Verdict != "again" || o.Fault.Error() != "it does not export observe" {
		t.Errorf("got %+v", o)
	}
}

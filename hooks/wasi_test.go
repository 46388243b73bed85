package hooks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

const wasiModule = "wasi_snapshot_preview1"

// A module that calls what there is none of is told so, and goes on.
func TestWASIFailsAtTheCallWhereThereIsNothing(t *testing.T) {
	does := []string{"args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "clock_time_get", "clock_res_get", "random_get", "fd_write", "poll_oneoff", "sched_yield", "proc_exit"}
	for _, f := range guest.Functions()[wasiModule] {
		if slices.Contains(does, f.Name) {
			continue
		}
		var code strings.Builder
		for _, param := range strings.Fields(f.Params) {
			code.WriteString(param + ".const -1 ")
		}
		code.WriteString("call $" + f.Name + " i32.eqz") // a success would be a denial
		m := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: code.String()})
		m.Imports = append(slices.Clone(m.Imports), wasmtest.Import{Module: wasiModule, Name: f.Name, Type: f.Params + " -> i32"})
		trial := openTrial(t, wasmtest.Assemble(m), TrialConfig{})
		if o := trial.Ask(Case{Question: question("x")}); o.Verdict != "allow" || o.Fuel < guest.PriceCall {
			t.Errorf("%s: %+v", f.Name, o)
		}
	}
}

// The packages os, net and time of Go load, and say what there is none of instead of trapping.
func TestWASIGuestsOfGoMayLinkTheirSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take their time")
	}
	const noFile, badFile, notCapable = "No such file or directory", "Bad file number", "Capabilities insufficient"
	ask := func(trial *Trial, do, with string) Outcome {
		q := question("x")
		q.Asked.Metadata = map[string]string{"do": do, "with": with}
		q.Locks = around{"incident/db": {Name: "incident/db", Holder: "pager", Account: "bob"}}
		return trial.Ask(Case{Question: q, Now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)})
	}
	plain := openTrial(t, buildGo(t, "./testdata/zones"), TrialConfig{Fuel: manifest.MaxFuel})
	for _, tt := range []struct{ do, with, want string }{
		{"zone", "UTC", "2026-07-01T12:00:00Z"},
		{"zone", "Europe/Berlin", "unknown time zone Europe/Berlin"},
		{"local", "Europe/Berlin", "Wed 14:00 +0200"},
		{"local", "Europe/Nowhere", "not known"},
		{"other", "incident/db", "held by pager of bob"},
		{"read", "/etc/passwd", noFile},
		{"stat", "/", noFile},
		{"list", ".", noFile},
		{"write", "/tmp/x", noFile},
		{"make", "/tmp/x", notCapable},
		{"remove", "/tmp/x", notCapable},
		{"input", "", badFile},
		{"dial", "192.0.2.1:80", "192.0.2.1:80"},
	} {
		if o := ask(plain, tt.do, tt.with); o.Verdict != "deny" || !strings.Contains(o.Reason, tt.want) {
			t.Errorf("%s %s: %s, %q, %v; want %q in a denial", tt.do, tt.with, o.Verdict, o.Reason, o.Fault, tt.want)
		}
	}
	embedded := openTrial(t, buildGo(t, "./testdata/zones", "-tags", "timetzdata"), TrialConfig{Fuel: manifest.MaxFuel})
	for zone, want := range map[string]string{"Europe/Berlin": "2026-07-01T14:00:00+02:00", "Asia/Kolkata": "2026-07-01T17:30:00+05:30", "No/Zone": "unknown time zone No/Zone"} {
		if o := ask(embedded, "zone", zone); o.Reason != want {
			t.Errorf("%s: %+v, want %s", zone, o, want)
		}
	}
}

package policytool

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
	"github.com/octostore/octostore/hooks"
)

// TestReport is the result of the fixtures of a module.
type TestReport struct {
	Module string       `json:"module"` // path
	Digest string       `json:"digest"`
	Seed   uint64       `json:"seed"`
	Files  []FileReport `json:"files"`
	Cases  int          `json:"cases"`
	Failed int          `json:"failed"` // cases, and files that failed as a whole
}

// FileReport is the result of one file of fixtures.
type FileReport struct {
	Path     string       `json:"file"`
	Cases    []CaseReport `json:"cases,omitempty"`
	Failures []string     `json:"failures,omitempty"` // of the file as a whole
}

// CaseReport is the result of one case.
type CaseReport struct {
	Name     string    `json:"name"`
	Verdict  string    `json:"verdict"` // of a new instance
	Fuel     int64     `json:"fuel"`
	Failures []string  `json:"failures,omitempty"`
	Logs     []LogLine `json:"logs,omitempty"`

	Advice *FuelAdvice   `json:"fuel_advice,omitempty"` // it used up its fuel, or almost
	took   time.Duration // the first answer
}

// Test runs the fixtures of a module. Three instances answer each case: one of its own, one that
// answers all cases of the file in order, and one that answers them shuffled by the seed. A policy
// that keeps state between requests answers differently, which is a failure.
func Test(ctx context.Context, module Module, limits Limits, fixtures []fixture.File, seed uint64) (TestReport, error) {
	report := TestReport{Module: module.Path, Seed: seed}
	trial, err := module.open(ctx, limits)
	if err != nil {
		return report, err
	}
	defer trial.Close()
	report.Digest = trial.Digest()
	for _, f := range fixtures {
		r := testFile(trial, f, seed)
		report.Cases += len(f.Cases)
		if len(r.Failures) > 0 {
			report.Failed++
		}
		for _, c := range r.Cases {
			if len(c.Failures) > 0 {
				report.Failed++
			}
		}
		report.Files = append(report.Files, r)
	}
	return report, nil
}

func testFile(trial *hooks.Trial, f fixture.File, seed uint64) FileReport {
	r := FileReport{Path: f.Path}
	trial.Reads(f.Reads)
	refusal := trial.Configure(f.Config)
	switch {
	case f.LoadError != "" && refusal == nil:
		r.Failures = []string{fmt.Sprintf("its configuration is taken; want it refused with %q", f.LoadError)}
		return r
	case f.LoadError != "" && !strings.Contains(refusal.Error(), f.LoadError):
		r.Failures = []string{fmt.Sprintf("its configuration is refused with %q; want %q in that", refusal, f.LoadError)}
		return r
	case f.LoadError != "":
		return r
	case refusal != nil:
		r.Failures = []string{fmt.Sprintf("its configuration is refused: %v", refusal)}
		return r
	}
	fresh := make([]hooks.Outcome, len(f.Cases))
	for i, e := range f.Cases {
		trial.Renew()
		begun := time.Now()
		fresh[i] = trial.Ask(e.Case)
		took := time.Since(begun)
		r.Cases = append(r.Cases, CaseReport{
			Name: e.Name, Verdict: fresh[i].Verdict, Fuel: fresh[i].Fuel, Failures: differences(&e, fresh[i]), Logs: logLines(fresh[i].Logs), took: took,
			Advice: adviseFuel(trial, e.Case, fresh[i]),
		})
	}
	shuffled := rand.New(rand.NewPCG(seed, 0)).Perm(len(f.Cases))
	inOrder := slices.Clone(shuffled)
	slices.Sort(inOrder)
	for _, run := range []struct {
		order []int
		name  string
	}{{inOrder, "in order"}, {shuffled, "shuffled"}} {
		trial.Renew()
		for place, i := range run.order {
			if change := stateShows(fresh[i], trial.Ask(f.Cases[i].Case)); change != "" {
				after := ""
				if place > 0 {
					after = fmt.Sprintf(", the one before being %q", f.Cases[run.order[place-1]].Name)
				}
				r.Cases[i].Failures = append(r.Cases[i].Failures, fmt.Sprintf(
					"it keeps something between requests: %s when asked %s as number %d%s", change, run.name, place+1, after))
			}
		}
	}
	return r
}

// differences lists the differences between an outcome and the expectation.
func differences(e *fixture.Expectation, o hooks.Outcome) (all []string) {
	differs := func(what string, got, want any) {
		all = append(all, fmt.Sprintf("%s is %s; want %s", what, quoted(got), quoted(want)))
	}
	if e.Verdict != "" && e.Verdict != o.Verdict {
		differs("verdict", o.Verdict, e.Verdict)
		if why := cmp.Or(faultOf(o), o.Reason); why != "" {
			all[0] += " (" + why + ")"
		}
	}
	if e.Reason != nil && *e.Reason != reasonOf(o) {
		differs("reason", reasonOf(o), *e.Reason)
	}
	for _, n := range []struct {
		what string
		want *int64
		got  int64
	}{
		{"retry_after_ms", e.Retry, o.RetryAfter.Milliseconds()},
		{"ttl_ms", e.TTL, o.TTL.Milliseconds()},
		{"wait_ms", e.Wait, o.Wait.Milliseconds()},
	} {
		if n.want != nil && *n.want != n.got {
			differs(n.what, n.got, *n.want)
		}
	}
	if got := cmp.Or(o.Priority, "none"); e.Priority != "" && e.Priority != got {
		differs("priority", got, e.Priority)
	}
	notes := noteMap(o)
	for _, key := range sortedKeys(e.Notes) {
		if got, there := notes[key]; !there {
			differs("note "+key, nil, e.Notes[key])
		} else if got != e.Notes[key] {
			differs("note "+key, got, e.Notes[key])
		}
	}
	if e.MaxFuel > 0 && o.Fuel > e.MaxFuel {
		all = append(all, fmt.Sprintf("fuel is %d; want at most %d", o.Fuel, e.MaxFuel))
	}
	return all
}

// stateShows describes how the answer of a used instance differs from that of a fresh one; empty: it
// does not. The fuel may differ.
func stateShows(fresh, used hooks.Outcome) string {
	for _, c := range []struct {
		what        string
		fresh, used any
	}{
		{"verdict", fresh.Verdict, used.Verdict},
		{"reason", reasonOf(fresh), reasonOf(used)},
		{"retry_after_ms", fresh.RetryAfter.Milliseconds(), used.RetryAfter.Milliseconds()},
		{"ttl_ms", fresh.TTL.Milliseconds(), used.TTL.Milliseconds()},
		{"wait_ms", fresh.Wait.Milliseconds(), used.Wait.Milliseconds()},
		{"priority", fresh.Priority, used.Priority},
		{"notes", fmt.Sprint(fresh.Notes), fmt.Sprint(used.Notes)},
	} {
		if c.fresh != c.used {
			return fmt.Sprintf("%s is %s of a fresh instance, but %s", c.what, quoted(c.fresh), quoted(c.used))
		}
	}
	return ""
}

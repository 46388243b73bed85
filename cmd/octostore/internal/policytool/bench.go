package policytool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
	"github.com/octostore/octostore/hooks"
)

// BenchConfig has the calls to measure.
type BenchConfig struct {
	Calls    int            // default 100,000
	Fixtures []fixture.File // requests, used in rotation, with the configuration of the first file with requests; none: the default request
	Config   []byte         // the configuration, if there are no fixtures
}

// BenchReport is the cost of calls of a module.
type BenchReport struct {
	Module   string         `json:"module"` // path
	Digest   string         `json:"digest"`
	Calls    int            `json:"calls"`
	Requests int            `json:"requests"` // different ones
	Verdicts map[string]int `json:"verdicts"`

	NS      Spread  `json:"ns"`             // of a call, host functions included
	EmptyNS Spread  `json:"empty_ns"`       // the same of a module that does nothing
	Ratio   float64 `json:"ratio_to_empty"` // of the two p50
	Fuel    Spread  `json:"fuel"`
	StartNS int64   `json:"start_ns"` // of a start, configuration included

	Advice *FuelAdvice `json:"fuel_advice,omitempty"` // a call used up its fuel, or almost

	MemoryStart int64 `json:"memory_start_bytes"` // after the first call
	MemoryEnd   int64 `json:"memory_end_bytes"`   // after the last
	Replaced    int   `json:"replaced"`           // instances that failed or ran out of fuel
}

// Spread is the distribution of a figure.
type Spread struct {
	Mean int64 `json:"mean"`
	P50  int64 `json:"p50"`
	P99  int64 `json:"p99"`
	Max  int64 `json:"max"`
}

// Bench measures the cost of calls. It alternates between the module and an empty one, so that other
// load on the machine affects both.
func Bench(ctx context.Context, module Module, limits Limits, cfg BenchConfig) (BenchReport, error) {
	if cfg.Calls == 0 {
		cfg.Calls = 100_000
	}
	report := BenchReport{Module: module.Path, Verdicts: map[string]int{}}
	cases, config, err := benchCases(cfg)
	if err != nil {
		return report, err
	}
	report.Requests = len(cases)
	trial, err := module.open(ctx, limits)
	if err != nil {
		return report, err
	}
	defer trial.Close()
	report.Digest = trial.Digest()
	begun := time.Now()
	if err := trial.Configure(config); err != nil {
		return report, fmt.Errorf("%s refuses its configuration: %w", module.Path, err)
	}
	report.StartNS = time.Since(begun).Nanoseconds()
	empty, err := hooks.OpenTrial(ctx, hooks.EmptyModule, hooks.TrialConfig{})
	if err != nil {
		return report, err
	}
	defer empty.Close()
	return report, report.measure(ctx, trial, empty, cases, cfg.Calls)
}

// benchCases returns the requests and the configuration.
func benchCases(cfg BenchConfig) (cases []hooks.Case, config json.RawMessage, err error) {
	for _, f := range cfg.Fixtures {
		if len(cases) > 0 {
			break
		}
		for _, e := range f.Cases {
			if e.Case.Event == nil {
				cases = append(cases, e.Case)
			}
		}
		config = f.Config
	}
	if len(cases) > 0 {
		return cases, config, nil
	}
	if len(cfg.Fixtures) > 0 {
		return nil, nil, errors.New("the fixtures have no request")
	}
	return []hooks.Case{fixture.DefaultCase()}, cfg.Config, nil
}

// rounds is the number of alternations between the two modules.
const rounds = 20

func (r *BenchReport) measure(ctx context.Context, trial, empty *hooks.Trial, cases []hooks.Case, calls int) error {
	for _, t := range []*hooks.Trial{trial, empty} {
		for _, c := range cases { // the first call of an instance may do more
			t.Ask(c)
		}
	}
	r.MemoryStart = trial.Memory()
	var took, idle, fuel []int64
	var hungry hooks.Outcome // the one that needed most
	var of hooks.Case
	for round := range rounds {
		for n := round * calls / rounds; n < (round+1)*calls/rounds; n++ {
			c := cases[n%len(cases)]
			o, d := timed(trial, c)
			took, fuel = append(took, d.Nanoseconds()), append(fuel, o.Fuel)
			if o.Fuel > hungry.Fuel {
				hungry, of = o, c
			}
			r.Verdicts[o.Verdict]++
			if o.Fresh {
				r.Replaced++
			}
		}
		for n := round * calls / rounds; n < (round+1)*calls/rounds; n++ {
			_, d := timed(empty, cases[n%len(cases)])
			idle = append(idle, d.Nanoseconds())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.Calls, r.NS, r.EmptyNS, r.Fuel, r.MemoryEnd = len(took), spreadOf(took), spreadOf(idle), spreadOf(fuel), trial.Memory()
	r.Advice = adviseFuel(trial, of, hungry)
	r.Ratio = float64(r.NS.P50) / float64(max(r.EmptyNS.P50, 1)) // a mean is that of the machine's other work
	return nil
}

func timed(t *hooks.Trial, c hooks.Case) (hooks.Outcome, time.Duration) {
	begun := time.Now()
	o := t.Ask(c)
	return o, time.Since(begun)
}

func spreadOf(all []int64) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	sum := int64(0)
	for _, n := range all {
		sum += n
	}
	at := func(part float64) int64 { return all[int(part*float64(len(all)-1))] }
	return Spread{Mean: sum / int64(len(all)), P50: at(0.50), P99: at(0.99), Max: all[len(all)-1]}
}

// Print writes the report for people.
func (r BenchReport) Print(w io.Writer) error {
	row := func(what string, s Spread, unit string) string {
		return fmt.Sprintf("%-12s mean %d%s, p50 %d%s, p99 %d%s, most %d%s\n", what, s.Mean, unit, s.P50, unit, s.P99, unit, s.Max, unit)
	}
	text := fmt.Sprintf("%s (sha256 %s…): %d calls, %s\n", r.Module, r.Digest[:16], r.Calls, plural(r.Requests, "request"))
	text += row("a call", r.NS, " ns") + row("an empty one", r.EmptyNS, " ns")
	text += fmt.Sprintf("%-12s %.2f of an empty one\n", "ratio", r.Ratio)
	text += row("fuel", r.Fuel, "")
	if r.Advice != nil {
		text += fmt.Sprintf("%-12s a call %s\n", "", r.Advice)
	}
	text += fmt.Sprintf("%-12s %s\n", "a start", time.Duration(r.StartNS).Round(time.Microsecond))
	text += fmt.Sprintf("%-12s %d KiB after the first calls, %d KiB after the last\n", "memory", r.MemoryStart>>10, r.MemoryEnd>>10)
	for _, verdict := range []string{"allow", "deny", "error"} {
		if n := r.Verdicts[verdict]; n > 0 {
			text += fmt.Sprintf("%-12s %d\n", verdict, n)
		}
	}
	if r.Replaced > 0 {
		text += fmt.Sprintf("%-12s %s, since they failed or ran out of fuel\n", "replaced", plural(r.Replaced, "instance"))
	}
	_, err := io.WriteString(w, text)
	return err
}

package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// TrialConfig has the settings of a trial. The zero value means the defaults of a manifest.
type TrialConfig struct {
	Name      string // of the policy, which a denial without a reason mentions; default "policy"
	Fuel      int64  // of a call
	MemoryMiB int
	CacheDir  string   // as in [Config]
	Reads     []string // as in a manifest; nil: the module may look at every lock
	Compile   Compiler // as in [Config]
}

// Trial is one module outside of a manifest, for the tools that policies are developed with. It runs in
// the same engine and under the same limits as in a server. Make one with [OpenTrial]; one goroutine
// uses it at a time.
type Trial struct {
	engine *engine
	policy *policy
	lines  []LogLine
}

// LogLine is a line that a policy logged.
type LogLine struct {
	Level int32 // 0 debug to 3 error; see package abi
	Text  string
}

// Case is a question or an event for a module.
type Case struct {
	core.Question
	Event []byte // a line of the journal to observe, in place of the question
	Now   time.Time
	// Absent reports whether a key is absent, although a server would have it; nil: none is.
	Absent func(key string) bool
}

// Outcome is the answer of a module.
type Outcome struct {
	Verdict string // allow, deny or error, as in the audit log; for an event done or again
	Reason  string // of a denial, for the caller; of again, from the module

	RetryAfter time.Duration // of a denial; 0: none
	TTL, Wait  time.Duration // of an acquire in phase request: the requested values, after its caps
	// Priority is the priority of an acquire in phase request if it has to wait: front, normal or
	// back; empty: the module did not set it.
	Priority string
	Notes    []lock.Note
	Logs     []LogLine
	Fuel     int64 // used, by the call that counts

	FaultKind string // of an error or of again: out_of_fuel, trap, result, start or configure
	Fault     error
	Fresh     bool // a new instance answered
}

// OpenTrial compiles a module, and does not run it yet. The error says why a server would not load
// it.
func OpenTrial(ctx context.Context, module []byte, cfg TrialConfig) (*Trial, error) {
	if cfg.Name == "" {
		cfg.Name = "policy"
	}
	if cfg.Fuel == 0 {
		cfg.Fuel = manifest.DefaultFuel
	}
	if cfg.MemoryMiB == 0 {
		cfg.MemoryMiB = manifest.DefaultMemoryMiB
	}
	if cfg.Reads == nil {
		cfg.Reads = []string{""}
	}
	t := &Trial{}
	described := manifest.Policy{
		Name:      cfg.Name,
		Mode:      manifest.Enforce,
		OnError:   manifest.DenyOnError,
		Fuel:      cfg.Fuel,
		MemoryMiB: cfg.MemoryMiB,
		Config:    json.RawMessage("{}"),
		Reads:     cfg.Reads,
	}
	var err error
	t.engine, err = openEngine(ctx, Config{CacheDir: cfg.CacheDir, Compile: cfg.Compile}, 1, func(e *engine) (err error) {
		t.policy, err = e.compile(ctx, described, module)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.policy.Heard = t.hear
	t.policy.startBudget = nil // there is no server to protect
	return t, nil
}

func (t *Trial) hear(level int32, text string) { t.lines = append(t.lines, LogLine{level, text}) }

// Close ends all instances.
func (t *Trial) Close() error {
	t.policy.close()
	return t.engine.close()
}

// Digest returns the SHA-256 of the module, in hex.
func (t *Trial) Digest() string { return t.policy.digest }

// Fuel returns what a call may use.
func (t *Trial) Fuel() int64 { return t.policy.Fuel }

// Configure gives the module another configuration, which is JSON; empty means {}. It discards all
// instances and starts one. The error is that of the start, or the module's refusal; after it every
// case ends in an error.
func (t *Trial) Configure(config json.RawMessage) error {
	if len(config) == 0 {
		config = json.RawMessage("{}")
	}
	t.policy.Program.Configure(config)
	t.lines = nil
	t.Renew()
	first, fault := t.policy.instantiate()
	if fault != nil {
		return fault
	}
	t.policy.put(first)
	return nil
}

// Reads lets the module read the locks whose names begin with one of these prefixes, as "reads" in a
// manifest does; none: no other lock.
func (t *Trial) Reads(prefixes []string) { t.policy.Policy.Reads = prefixes }

// StartLogs returns the log lines of the start and the configuration. Call it before the first case.
func (t *Trial) StartLogs() []LogLine { return t.lines }

// Renew discards all instances, so that a new one answers the next case.
func (t *Trial) Renew() {
	for i := t.instance(); i != nil; i = t.instance() {
		t.policy.free = t.policy.free[:len(t.policy.free)-1]
		t.policy.discard(i)
	}
}

// instance returns the instance that answers next, nil if it has to be made.
func (t *Trial) instance() *guest.Instance {
	if n := len(t.policy.free); n > 0 {
		return t.policy.free[n-1]
	}
	return nil
}

// Memory returns the memory size in bytes of the instance that answers next; 0 if the last one failed.
func (t *Trial) Memory() int64 {
	i := t.instance()
	if i == nil {
		return 0
	}
	return i.MemorySize()
}

// Ask gives a case to the module as a server would: to the instance of the case before, unless that
// failed.
func (t *Trial) Ask(c Case) Outcome {
	t.lines = nil
	r, export := t.request(c), abi.ExportCheck
	if c.Event != nil {
		export = abi.ExportObserve
	}
	before := t.instance()
	known := before != nil && before.Used()
	said := guest.Answer{Fault: &guest.Fault{Kind: "start", Err: fmt.Errorf("it does not export %s", export)}}
	if t.policy.Compiled.ExportedFunctions()[export] != nil {
		said = t.policy.run(r)
	}
	o := outcomeOf(said, c.Question)
	if c.Event != nil {
		o.Verdict = "done"
		if o.Fault != nil {
			o.Verdict, o.Reason = "again", said.Reason
		}
	}
	o.Fresh = !known || t.instance() != before
	o.Logs = t.lines
	return o
}

// Needs returns the fuel that a case needs on a fresh instance; 0: more than [MaxFuel] and
// [FirstCallFuel], or no instance starts. It does not affect the next case.
func (t *Trial) Needs(c Case) int64 {
	defer func(lines []LogLine, fuel int64) { t.lines, t.policy.Fuel = lines, fuel }(t.lines, t.policy.Fuel)
	t.policy.Fuel = manifest.MaxFuel
	i, f := t.policy.instantiate()
	if f != nil {
		return 0
	}
	others := t.policy.free
	t.policy.free = nil
	o := t.policy.runOn(i, t.request(c))
	t.Renew()
	t.policy.free = others
	if o.Fault != nil && o.Fault.Kind == guest.OutOfFuel {
		return 0
	}
	return o.Fuel
}

// request makes a judgement of a case.
func (t *Trial) request(c Case) *judgement {
	j := &judgement{Request: guest.NewRequest(c.Question, c.Now)}
	if c.Event != nil {
		j = &judgement{Request: guest.NewObservation(c.Event, c.Now), patient: true}
	}
	j.Heard, j.Absent = t.hear, c.Absent
	return j
}

// outcomeOf is an answer in the words of the audit log.
func outcomeOf(o guest.Answer, q core.Question) Outcome {
	out := Outcome{Verdict: "allow", TTL: q.Asked.TTL, Wait: q.Asked.Wait, Notes: o.Notes, Fuel: o.Fuel}
	switch {
	case o.Fault != nil:
		out.Verdict, out.FaultKind, out.Fault = "error", o.Fault.Kind, o.Fault.Err
		return out
	case o.Denies:
		out.Verdict, out.Reason, out.RetryAfter = "deny", o.Reason, o.Retry
	}
	if o.TTL > 0 {
		out.TTL = min(out.TTL, o.TTL)
	}
	if o.CapsWait {
		out.Wait = min(out.Wait, o.Wait)
	}
	if o.SetsPriority {
		out.Priority = o.Priority.String()
	}
	return out
}

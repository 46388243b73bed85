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

// TrialConfig says on what terms a module is tried. The zero value means the
// defaults of a manifest.
type TrialConfig struct {
	Name      string // of the policy, which a denial without a reason names; default "policy"
	Fuel      int64  // of a call
	MemoryMiB int
	CacheDir  string   // as in [Config]
	Reads     []string // as in a manifest; nil: the module may look at every lock
	Compile   Compiler // as in [Config]
}

// Trial is one module on its own, outside of any manifest: for the tools with which
// policies are written and looked at. It runs in the same engine, under the same
// limits, as in a server. Make one with [OpenTrial]; it is used by one goroutine at
// a time.
type Trial struct {
	engine *engine
	policy *policy
	lines  []LogLine
}

// LogLine is something a policy logged.
type LogLine struct {
	Level int32 // 0 debug to 3 error; see package abi
	Text  string
}

// Case is what a trial puts to a module.
type Case struct {
	core.Question
	Event []byte // a line of the journal to observe, in place of the question
	Now   time.Time
	// Absent says of which keys the getters are to know nothing, although a server would;
	// nil: of none.
	Absent func(key string) bool
}

// Outcome is what a module answered.
type Outcome struct {
	Verdict string // allow, deny or error, as in the journal; of an event done or again
	Reason  string // of a denial, what the caller reads; of again, what the module said

	RetryAfter time.Duration // of a denial; 0: it did not say
	TTL, Wait  time.Duration // of an acquire in phase request: what its caps leave of what was asked
	// Priority is what an acquire in phase request is to wait with: front, normal or back;
	// empty: it did not say.
	Priority string
	Notes    []lock.Note
	Logs     []LogLine
	Fuel     int64 // used, by the call that counts

	FaultKind string // of an error, or why an event is to be given again: out_of_fuel, trap, result, start or configure
	Fault     error
	Fresh     bool // an instance that had answered nobody before did
}

// OpenTrial compiles a module; it does not run it yet. The error says why a server
// would not load it.
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
		Name: cfg.Name, Mode: manifest.Enforce, OnError: manifest.DenyOnError, Fuel: cfg.Fuel, MemoryMiB: cfg.MemoryMiB, Config: json.RawMessage("{}"),
		Reads: cfg.Reads,
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
	t.policy.startBudget = nil // no server is kept from its work
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

// Configure gives the module another configuration, which is JSON; empty means {}. The
// instances so far are thrown away, and one is started. The error is what the module,
// or its start, says against it; then every case is answered by an error.
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

// Reads lets the module look at the locks whose names begin with one of these from now on,
// as "reads" in a manifest does; none: at no other lock.
func (t *Trial) Reads(prefixes []string) { t.policy.Policy.Reads = prefixes }

// StartLogs returns what the module logged at its start and while it read its
// configuration, if nothing was asked since.
func (t *Trial) StartLogs() []LogLine { return t.lines }

// Renew throws away the instances there are, so that the next case is answered by one
// that knows nothing.
func (t *Trial) Renew() {
	for i := t.instance(); i != nil; i = t.instance() {
		t.policy.free = t.policy.free[:len(t.policy.free)-1]
		t.policy.discard(i)
	}
}

// instance returns the one that answers next, nil if that has to be made.
func (t *Trial) instance() *guest.Instance {
	if n := len(t.policy.free); n > 0 {
		return t.policy.free[n-1]
	}
	return nil
}

// Memory returns how many bytes of memory the instance has that answers next; 0 if
// there is none, since the last one failed.
func (t *Trial) Memory() int64 {
	i := t.instance()
	if i == nil {
		return 0
	}
	return i.MemorySize()
}

// Ask puts a case to the module, as a server would: to the instance that answered the
// one before, unless that failed.
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

// Needs returns how much fuel a case needs of a fresh instance, at most: 0 if it does
// not do with [MaxFuel] and [FirstCallFuel], or if there can be no instance. The next case
// is answered as if nothing had been measured.
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

// request is a case in the words of the interface.
func (t *Trial) request(c Case) *judgement {
	j := &judgement{Request: guest.NewRequest(c.Question, c.Now)}
	if c.Event != nil {
		j = &judgement{Request: guest.NewObservation(c.Event, c.Now), patient: true}
	}
	j.Heard, j.Absent = t.hear, c.Absent
	return j
}

// outcomeOf is an outcome in the words of the journal.
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

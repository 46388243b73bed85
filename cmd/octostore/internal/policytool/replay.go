package policytool

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/pattern"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/hooks/abi"
)

// ReplayKinds are the kinds of records with decisions.
var ReplayKinds = []lock.Kind{lock.Granted, lock.Denied, lock.PolicyError}

// ReplayConfig chooses the decisions of a replay.
type ReplayConfig struct {
	Config   json.RawMessage
	Match    []string  // patterns of lock names, as in a manifest; empty: all names
	Since    time.Time // older records are skipped; zero: none
	Policy   string    // compare with the answers of this policy; empty: with the results of the requests
	Examples int       // of each change, at most
}

// Replay evaluates recorded acquires with a module. Make one with [NewReplay].
type Replay struct {
	cfg     ReplayConfig
	trial   *hooks.Trial
	matches func(lock.Name) bool
	sets    policySets
	report  ReplayReport
}

// ReplayReport compares the answers of a module with recorded decisions.
type ReplayReport struct {
	Module    string     `json:"module"` // path
	Digest    string     `json:"digest"`
	Decisions int        `json:"decisions"`
	First     *time.Time `json:"first,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	Changes   []Change   `json:"changes"`   // one for each pair of verdicts
	Unjudged  int        `json:"unjudged"`  // requests that the policy to compare with did not cover
	Unknown   int        `json:"unknown"`   // requests evaluated by a set of policies that no record describes
	Others    int        `json:"others"`    // refusals of renewals and breaks, which a replay skips
	Asked     []Asked    `json:"asked_for"` // keys that the audit log does not have
}

// Change counts the decisions with one recorded and one new verdict.
type Change struct {
	Recorded string    `json:"recorded"`
	Now      string    `json:"now"`
	Count    int       `json:"count"`
	Examples []Example `json:"examples,omitempty"` // only where they differ
}

// Example is a decision that changes.
type Example struct {
	Seq     lock.Seq  `json:"seq"`
	Time    time.Time `json:"time"`
	Name    lock.Name `json:"name"`
	Account string    `json:"account"`
	Holder  string    `json:"holder,omitempty"`
	Was     string    `json:"was,omitempty"` // the reason on record
	Reason  string    `json:"reason,omitempty"`
}

// Asked is a key that the module asked for and the audit log does not have.
type Asked struct {
	Key       string `json:"key"`
	Decisions int    `json:"decisions"`
}

// NewReplay compiles and configures a module. The caller closes the replay.
func NewReplay(ctx context.Context, module Module, limits Limits, cfg ReplayConfig) (*Replay, error) {
	r := &Replay{cfg: cfg, matches: func(lock.Name) bool { return true }, sets: policySets{}, report: ReplayReport{Module: module.Path}}
	if len(cfg.Match) > 0 {
		patterns, err := pattern.Parse(cfg.Match)
		if err != nil {
			return nil, fmt.Errorf("match: %w", err)
		}
		r.matches = patterns.Match
	}
	trial, err := module.open(ctx, limits)
	if err != nil {
		return nil, err
	}
	if err := trial.Configure(cfg.Config); err != nil {
		_ = trial.Close() // the first error is the one to return
		return nil, fmt.Errorf("%s refuses its configuration: %w", module.Path, err)
	}
	r.trial, r.report.Digest = trial, trial.Digest()
	return r, nil
}

// Close closes the module.
func (r *Replay) Close() error { return r.trial.Close() }

// Add evaluates one line of the audit log, if it is a decision about an acquire.
func (r *Replay) Add(line []byte) error {
	rec, err := record.Parse(line)
	if err != nil {
		return fmt.Errorf("what is not a record is in the journal: %w", err)
	}
	r.sets.learn(rec)
	if !slices.Contains(ReplayKinds, rec.Kind) || rec.Time.Before(r.cfg.Since) || !r.matches(rec.Name) {
		return nil
	}
	if ofAcquire(rec) {
		r.judge(rec)
	} else {
		r.report.Others++
	}
	return nil
}

// ofAcquire reports whether a record is about an acquire, not about a refused renewal or break.
func ofAcquire(rec record.Record) bool {
	return !slices.ContainsFunc(rec.Verdicts, func(v lock.Verdict) bool {
		return v.At == abi.HookRenew || v.At == abi.HookBreak
	})
}

func (r *Replay) judge(rec record.Record) {
	recorded, why, known := r.recorded(rec)
	switch {
	case !known:
		r.report.Unknown++
		return
	case recorded == "":
		r.report.Unjudged++
		return
	}
	asked := map[string]bool{}
	o := r.trial.Ask(caseOf(rec, asked))
	for key := range asked {
		r.count(key)
	}
	if r.report.First == nil {
		r.report.First = &rec.Time
	}
	r.report.Decisions++
	r.report.Last = &rec.Time
	c := r.change(recorded, o.Verdict)
	c.Count++
	if recorded != o.Verdict && len(c.Examples) < r.cfg.Examples {
		c.Examples = append(c.Examples, Example{
			Seq: rec.Seq, Time: rec.Time, Name: rec.Name, Account: rec.Account, Holder: rec.Holder, Was: why, Reason: reasonOf(o),
		})
	}
}

// recorded is the recorded verdict, empty if there is none, and its reason. known is false if the
// policy may have allowed silently, in a set that no record describes.
func (r *Replay) recorded(rec record.Record) (verdict, why string, known bool) {
	if r.cfg.Policy == "" {
		verdict := map[lock.Kind]string{lock.Granted: "allow", lock.Denied: "deny", lock.PolicyError: "error"}[rec.Kind]
		return verdict, rec.Cause, true
	}
	for _, v := range slices.Backward(rec.Verdicts) { // the evaluation at the grant comes last
		if v.Policy == r.cfg.Policy && (v.At == abi.PhaseGrant || rec.SetAtGrant == "") {
			return v.Verdict, v.Reason, true
		}
	}
	if rec.SetAtGrant != "" {
		if asked, known := r.sets.asked(rec.SetAtGrant, r.cfg.Policy, rec.Name); asked || !known {
			return allowedIf(asked), "", known
		}
		for _, v := range slices.Backward(rec.Verdicts) {
			if v.Policy == r.cfg.Policy {
				return v.Verdict, v.Reason, true
			}
		}
	}
	if rec.PolicySet == "" {
		return "", "", true
	}
	asked, known := r.sets.asked(rec.PolicySet, r.cfg.Policy, rec.Name)
	return allowedIf(asked), "", known
}

func allowedIf(asked bool) string {
	if asked {
		return "allow"
	}
	return ""
}

func (r *Replay) change(recorded, now string) *Change {
	for i := range r.report.Changes {
		if c := &r.report.Changes[i]; c.Recorded == recorded && c.Now == now {
			return c
		}
	}
	r.report.Changes = append(r.report.Changes, Change{Recorded: recorded, Now: now})
	return &r.report.Changes[len(r.report.Changes)-1]
}

func (r *Replay) count(key string) {
	for i := range r.report.Asked {
		if a := &r.report.Asked[i]; a.Key == key {
			a.Decisions++
			return
		}
	}
	r.report.Asked = append(r.report.Asked, Asked{key, 1})
}

// Report returns the result of the lines so far.
func (r *Replay) Report() ReplayReport {
	slices.SortFunc(r.report.Changes, func(a, b Change) int { return strings.Compare(a.Recorded+" "+a.Now, b.Recorded+" "+b.Now) })
	slices.SortFunc(r.report.Asked, func(a, b Asked) int { return strings.Compare(a.Key, b.Key) })
	return r.report
}

// caseOf reconstructs the request of a record. Keys that the record does not have are absent; those
// that the module asks for are added to asked.
func caseOf(rec record.Record, asked map[string]bool) hooks.Case {
	account := rec.Account
	if rec.By != "" {
		account = rec.By
	}
	q := core.Question{
		Hook: core.HookAcquire, Phase: core.PhaseRequest, Waited: time.Duration(rec.WaitedMS) * time.Millisecond,
		Asked: lock.Acquisition{
			Origin: lock.Origin{Actor: lock.Actor{Account: account, RemoteAddr: rec.RemoteAddr}, RequestID: rec.RequestID},
			Name:   rec.Name, Holder: rec.Holder, Reason: rec.Reason, Metadata: rec.Metadata, TTL: time.Duration(rec.TTLMS) * time.Millisecond,
		},
		View: lock.View{Name: rec.Name},
	}
	n := len(rec.Verdicts)
	if rec.WaitedMS > 0 || rec.SetAtGrant != "" || n > 0 && rec.Verdicts[n-1].At == abi.PhaseGrant {
		q.Phase = core.PhaseGrant
	}
	granted := rec.Kind == lock.Granted // the lock was free then
	return hooks.Case{Question: q, Now: rec.Time, Absent: func(key string) bool {
		unknown := key == abi.KeyWait || key == abi.KeyQueueLength || strings.HasPrefix(key, abi.KeyAccountHeld) ||
			key == abi.KeyAccountGroups || strings.HasPrefix(key, abi.PrefixHeld) || ofAnotherLock(key) ||
			!granted && (strings.HasPrefix(key, "lock.") && key != abi.KeyLockName || key == abi.KeyWaited && q.Phase == core.PhaseGrant)
		if unknown {
			asked[key] = true
		}
		return unknown
	}}
}

// ofAnotherLock reports whether a key is about another lock than that of the request.
func ofAnotherLock(key string) bool {
	return strings.HasPrefix(key, "lock.") && strings.Contains(key, ":")
}

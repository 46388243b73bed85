package policytool

import (
	"fmt"
	"slices"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/pattern"
	"github.com/octostore/octostore/hooks/abi"
)

// SetKinds are the kinds of records that describe sets of policies.
var SetKinds = []lock.Kind{lock.PoliciesLoaded, lock.Stopped}

// Learn reads the description of a set of policies from a line of the audit log. A policy that allowed
// silently is recorded only as a member of its set, so a comparison with a policy needs all records
// of SetKinds, older and newer than the decisions.
func (r *Replay) Learn(line []byte) error {
	rec, err := record.Parse(line)
	if err != nil {
		return fmt.Errorf("what is not a record is in the journal: %w", err)
	}
	r.sets.learn(rec)
	return nil
}

// policySets are the described sets of policies, by id.
type policySets map[string][]setPolicy

// setPolicy is a policy of a set.
type setPolicy struct {
	name     string
	acquires bool         // it covers acquires
	patterns pattern.List // of the names it covers; nil: not known
}

func (sets policySets) learn(rec record.Record) {
	for _, s := range rec.PolicySets() {
		if _, known := sets[s.ID]; known {
			continue
		}
		var all []setPolicy
		for _, p := range s.Policies {
			patterns, _ := pattern.Parse(p.Match) // of another version, perhaps: not known then
			all = append(all, setPolicy{p.Policy, slices.Contains(p.Hooks, abi.HookAcquire), patterns})
		}
		sets[s.ID] = all
	}
}

// asked reports whether a policy covered an acquire of a name, if that is known.
func (sets policySets) asked(id, policy string, name lock.Name) (asked, known bool) {
	all, known := sets[id]
	for _, p := range all {
		if p.name == policy && p.acquires {
			return p.patterns.Match(name), p.patterns != nil
		}
	}
	return false, known
}

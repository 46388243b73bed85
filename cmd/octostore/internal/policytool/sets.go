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

// Learn takes from a line of a journal what it says of sets of policies, and nothing else.
// A policy that allowed in silence is not on record by itself, but as part of its set; so
// a replay that is to compare with a policy needs all of SetKinds, also those older than
// the decisions, and those that came after them.
func (r *Replay) Learn(line []byte) error {
	rec, err := record.Parse(line)
	if err != nil {
		return fmt.Errorf("what is not a record is in the journal: %w", err)
	}
	r.sets.learn(rec)
	return nil
}

// policySets has the sets of policies that records describe, by id.
type policySets map[string][]setPolicy

// setPolicy is a policy of a set.
type setPolicy struct {
	name     string
	acquires bool         // it is asked about acquires
	patterns pattern.List // of the names it is asked about; nil: not known
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

// asked reports whether a policy was asked about an acquire of a name, if that is known.
func (sets policySets) asked(id, policy string, name lock.Name) (asked, known bool) {
	all, known := sets[id]
	for _, p := range all {
		if p.name == policy && p.acquires {
			return p.patterns.Match(name), p.patterns != nil
		}
	}
	return false, known
}

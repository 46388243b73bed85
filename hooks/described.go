package hooks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/octostore/octostore/core/lock"
)

// maxMatch bounds what is recorded of the patterns of one policy, in bytes, so that all
// of a set fits into one line of the journal.
const maxMatch = 1 << 10

// describe says for the record which policies a set has. The id comes from the names, the
// modules and all settings of the policies: neither from their order, which makes no
// difference, nor from where the modules are. The same manifest has the same id under the
// same version of the server; a later one may know more settings.
func describe(policies []*policy) lock.PolicySet {
	ordered := slices.SortedFunc(slices.Values(policies), func(a, b *policy) int { return cmp.Compare(a.Name, b.Name) })
	sum := sha256.New()
	enc := json.NewEncoder(sum)
	for _, p := range ordered {
		settings := p.Policy // all of its members, those of the future as well
		settings.Module, settings.SHA256 = "", p.digest
		if err := enc.Encode(settings); err != nil {
			panic(err) // texts, numbers and JSON always encode
		}
	}
	s := lock.PolicySet{ID: hex.EncodeToString(sum.Sum(nil)[:8]), Policies: make([]lock.LoadedPolicy, len(policies))}
	for i, p := range policies {
		s.Policies[i] = lock.LoadedPolicy{Name: p.Name, Digest: p.digest, Mode: string(p.Mode), Match: recordable(p.Match)}
		for _, h := range p.Hooks {
			s.Policies[i].Hooks = append(s.Policies[i].Hooks, string(h))
		}
	}
	return s
}

// recordable returns the patterns, or nil if they are too many to be recorded.
func recordable(match []string) []string {
	size := 0
	for _, text := range match {
		size += len(text) + 1
	}
	if size > maxMatch {
		return nil
	}
	return match
}

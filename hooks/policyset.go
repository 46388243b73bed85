package hooks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/octostore/octostore/core/lock"
)

// Bounds of the recorded patterns, in bytes, so that observers can afford to read them and a set fits
// into one line of the audit log.
const (
	maxMatch    = 1 << 10 // of one policy
	maxMatchAll = 8 << 10 // of all policies of a set
)

// describe returns a set as the audit log has it. The id is a hash of the names, the modules and all
// settings of the policies, and depends neither on their order nor on the paths of modules. The same
// manifest has the same id under the same version of the server; a later version may know more
// settings.
func describe(policies []*policy) lock.PolicySet {
	ordered := slices.SortedFunc(slices.Values(policies), func(a, b *policy) int { return cmp.Compare(a.Name, b.Name) })
	sum := sha256.New()
	for _, p := range ordered {
		sum.Write(append(p.settings(), '\n'))
	}
	s := lock.PolicySet{ID: hex.EncodeToString(sum.Sum(nil)[:8]), Policies: make([]lock.LoadedPolicy, len(policies))}
	left := maxMatchAll
	for i, p := range policies {
		s.Policies[i] = lock.LoadedPolicy{Name: p.Name, Digest: p.digest, Mode: string(p.Mode)}
		if n := sizeOf(p.Match); n <= min(maxMatch, left) {
			s.Policies[i].Match = p.Match
			left -= n
		}
		for _, h := range p.Hooks {
			s.Policies[i].Hooks = append(s.Policies[i].Hooks, string(h))
		}
	}
	return s
}

// settings are the module of a policy, without its path, and its entry in the manifest.
func (p *policy) settings() []byte {
	settings := p.Policy // all of its members, those of the future as well
	settings.Module, settings.SHA256 = "", p.digest
	text, err := json.Marshal(settings)
	if err != nil {
		panic(err) // texts, numbers and JSON always encode
	}
	return text
}

func sizeOf(texts []string) (n int) {
	for _, text := range texts {
		n += len(text) + len(`"",`)
	}
	return n
}

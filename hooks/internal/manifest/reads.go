package manifest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
)

// maxReads bounds the prefixes of one policy: each read of another lock goes through them.
const maxReads = 16

// CheckReads checks a list of prefixes of lock names, as a manifest has it in "reads".
func CheckReads(prefixes []string) error {
	var all []error
	for _, problem := range checkReads(prefixes) {
		all = append(all, errors.New("reads: "+problem))
	}
	return errors.Join(all...)
}

func checkReads(prefixes []string) (wrong []string) {
	if len(prefixes) > maxReads {
		wrong = append(wrong, fmt.Sprintf("has %d members; want at most %d", len(prefixes), maxReads))
	}
	seen := map[string]bool{}
	for _, prefix := range prefixes {
		if err, is := errors.AsType[*input.Error](lock.CheckPrefix(prefix)); is {
			wrong = append(wrong, fmt.Sprintf("%q %s; want %s, or \"\" for every lock", prefix, err.Problem, err.Want))
		} else if seen[prefix] {
			wrong = append(wrong, fmt.Sprintf("has %q twice; want it once", prefix))
		}
		seen[prefix] = true
	}
	return wrong
}

// MayLookAt reports whether the manifest lets a policy read a lock, or count the locks with this
// prefix.
func (p *Policy) MayLookAt(name string) bool {
	for _, prefix := range p.Reads {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

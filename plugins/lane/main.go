// Command lane is a policy that says with which priority requests wait for a lock.
// README.md beside it describes its configuration.
package main

import (
	"strconv"
	"strings"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

// rule puts some requests in a lane; the first that is about a request counts. It is about
// a request if all of what it names fits; nil fits always.
type rule struct {
	match    []string // lock names
	accounts []string
	holders  []string
	metadata []pair // one has to fit
	lane     guest.Priority
}

type pair struct{ key, pattern string }

var rules []rule

var lanes = map[string]guest.Priority{"front": guest.Front, "normal": guest.Normal, "back": guest.Back}

func configure(config []byte) error {
	rules = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("rules", func(o *strict.Object) {
			o.Need("lane")
			rules = append(rules, rule{
				o.Names("match"), o.Texts("accounts"), o.Texts("holders"), pairs(o, "metadata"),
				lanes[o.OneOf("lane", "normal", "front", "back")],
			})
		})
	})
}

func pairs(o *strict.Object, member string) (all []pair) {
	for i, text := range o.Texts(member) {
		key, pattern, is := strings.Cut(text, "=")
		if !is || key == "" {
			o.Fail(member+"["+strconv.Itoa(i)+"]", "is "+strconv.Quote(text)+"; want KEY=PATTERN such as \"urgency=high\"")
		}
		all = append(all, pair{key, pattern})
	}
	return all
}

func check(q guest.Request) guest.Verdict {
	if q.Hook() != guest.HookAcquire || q.Phase() != guest.PhaseRequest {
		return guest.Allow // it has its place
	}
	for i := range rules {
		if rules[i].isAbout(q) {
			q.SetPriority(rules[i].lane)
			return guest.Allow
		}
	}
	return guest.Allow
}

func (r *rule) isAbout(q guest.Request) bool {
	return (r.match == nil || guest.MatchNames(r.match, q.LockName())) &&
		(r.accounts == nil || guest.MatchAny(r.accounts, q.Account())) &&
		(r.holders == nil || guest.MatchAny(r.holders, q.Holder())) &&
		(r.metadata == nil || anyFits(r.metadata, q))
}

func anyFits(pairs []pair, q guest.Request) bool {
	for i := range pairs {
		value, there := q.Metadata(pairs[i].key)
		if there && guest.MatchText(pairs[i].pattern, value) {
			return true
		}
	}
	return false
}

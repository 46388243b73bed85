// Command maxttl is a policy that bounds how long leases and waits are, by lock name
// and account. README.md beside it says how it is configured.
package main

import (
	"time"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

// rule is a bound; the first that selects a request counts.
type rule struct {
	match     []string
	accounts  []string      // nil: all
	ttl, wait time.Duration // 0: no bound
	denies    bool          // what is over the bound, where others cap it
}

var rules []rule

func configure(config []byte) error {
	rules = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("rules", func(o *strict.Object) {
			o.Need("match")
			o.Need("ttl", "wait")
			rules = append(rules, rule{
				match: o.Names("match"), accounts: o.Texts("accounts"),
				ttl: o.Duration("ttl", time.Second), wait: o.Duration("wait", time.Millisecond),
				denies: o.OneOf("over", "cap", "deny") == "deny",
			})
		})
	})
}

func check(q guest.Request) guest.Verdict {
	name, account := q.LockName(), q.Account()
	for i := range rules {
		r := &rules[i]
		if guest.MatchNames(r.match, name) && (r.accounts == nil || guest.MatchAny(r.accounts, account)) {
			return r.judge(q)
		}
	}
	return guest.Allow
}

func (r *rule) judge(q guest.Request) guest.Verdict {
	hook := q.Hook()
	if hook == guest.HookBreak {
		return guest.Allow
	}
	if ttl := q.TTL(); r.ttl > 0 && ttl > r.ttl {
		if r.denies || hook == guest.HookRenew { // a renewal cannot be capped
			return tooLong("lease", ttl, r.ttl)
		}
		q.CapTTL(r.ttl)
		q.Note("ttl_asked", ttl.String())
	}
	if wait := q.Wait(); r.wait > 0 && wait > r.wait {
		if r.denies {
			return tooLong("wait", wait, r.wait)
		}
		q.CapWait(r.wait)
	}
	return guest.Allow
}

func tooLong(what string, asked, most time.Duration) guest.Verdict {
	return guest.Deny("a ", what, " of ", asked.String(), " is too long here; at most ", most.String())
}

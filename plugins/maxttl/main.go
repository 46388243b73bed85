// Command maxttl is a policy that bounds how long leases and waits are, and how long a
// lock is held in all, by lock name and account. README.md beside it describes its configuration.
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
	total     time.Duration // from the grant to the end of the lease, over all renewals; 0: no bound
	denies    bool          // what is over the bound, where others cap it
}

var rules []rule

func configure(config []byte) error {
	rules = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("rules", func(o *strict.Object) {
			o.Need("match")
			o.Need("ttl", "wait", "total")
			r := rule{
				match: o.Names("match"), accounts: o.Texts("accounts"),
				ttl: o.Duration("ttl", time.Second), wait: o.Duration("wait", time.Millisecond),
				total:  o.Duration("total", time.Second),
				denies: o.OneOf("over", "cap", "deny") == "deny",
			}
			if r.total > 0 && (r.ttl == 0 || r.ttl > r.total) {
				r.ttl = r.total // no lease is longer than all of them
			}
			rules = append(rules, r)
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
	if hook == guest.HookRenew && r.total > 0 {
		return r.judgeTotal(q)
	}
	return guest.Allow
}

// judgeTotal decides about a renewal by the total time that the lock would be held.
func (r *rule) judgeTotal(q guest.Request) guest.Verdict {
	granted := q.LockGrantedAt()
	if granted.IsZero() {
		return guest.Allow // it is not known
	}
	left := granted.Add(r.total).Sub(q.Now())
	if q.TTL() <= left {
		return guest.Allow
	}
	if left < time.Second { // the shortest lease
		return guest.Deny("the lock may be held for at most ", r.total.String(), " in all; that is over")
	}
	return guest.Deny("the lock may be held for at most ", r.total.String(), " in all; a renewal of at most ", left.Truncate(time.Second).String(), " is left")
}

func tooLong(what string, asked, most time.Duration) guest.Verdict {
	return guest.Deny("a ", what, " of ", asked.String(), " is too long here; at most ", most.String())
}

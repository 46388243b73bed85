// Command namepolicy is a policy that says which accounts may use which lock names.
// README.md beside it says how it is configured.
package main

import (
	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

// rule is what some accounts may do; the first that is about an account counts.
type rule struct {
	accounts []string
	allow    []string // nil: every name
	deny     []string // counts more than allow
}

var (
	rules  []rule
	others bool   // accounts without a rule may do everything
	help   string // added to every refusal
)

func configure(config []byte) error {
	rules = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("rules", func(o *strict.Object) {
			o.Need("accounts")
			o.Need("allow", "deny")
			rules = append(rules, rule{o.Texts("accounts"), o.Names("allow"), o.Names("deny")})
		})
		others = o.OneOf("others", "deny", "allow") == "allow"
		if help = o.Text("help"); help != "" {
			help = "; " + help
		}
	})
}

func check(q guest.Request) guest.Verdict {
	account, name := q.Account(), q.LockName()
	for i := range rules {
		r := &rules[i]
		if !guest.MatchAny(r.accounts, account) {
			continue
		}
		if guest.MatchNames(r.deny, name) || r.allow != nil && !guest.MatchNames(r.allow, name) {
			return guest.Deny("account ", account, " may not use the lock ", name, help)
		}
		return guest.Allow
	}
	if others {
		return guest.Allow
	}
	return guest.Deny("account ", account, " may use no lock here", help)
}

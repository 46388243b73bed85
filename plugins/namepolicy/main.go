// Command namepolicy is a policy that says which accounts may use which lock names.
// README.md beside it describes its configuration.
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

// rule has the names that some accounts may use; the first rule about an account counts. A
// rule is about accounts that match a pattern or are in a group.
type rule struct {
	accounts []string
	groups   []string
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
			o.Need("accounts", "groups")
			o.Need("allow", "deny")
			rules = append(rules, rule{o.Texts("accounts"), o.Texts("groups"), o.Names("allow"), o.Names("deny")})
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
		if !guest.MatchAny(r.accounts, account) && !inAny(q, r.groups) {
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

// inAny reports whether the account is in one of the groups. Where no login says that, it is
// in none.
func inAny(q guest.Request, groups []string) bool {
	for _, g := range groups {
		if member, _ := q.InGroup(g); member {
			return true
		}
	}
	return false
}

// Command nobreak is a policy that says which accounts may break which locks. README.md
// beside it describes its configuration.
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

// rule says which accounts may break some locks; the first that is about a lock counts.
type rule struct {
	match    []string // lock names
	accounts []string // nil: none
	groups   []string // the like
	own      bool     // an account may break its own lease
}

var (
	rules []rule
	help  string // added to every refusal
)

func configure(config []byte) error {
	rules = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("rules", func(o *strict.Object) {
			o.Need("match")
			rules = append(rules, rule{o.Names("match"), o.Texts("accounts"), o.Texts("groups"), o.Bool("own")})
		})
		if help = o.Text("help"); help != "" {
			help = "; " + help
		}
	})
}

func check(q guest.Request) guest.Verdict {
	if q.Hook() != guest.HookBreak {
		return guest.Allow
	}
	name := q.LockName()
	for i := range rules {
		r := &rules[i]
		if !guest.MatchNames(r.match, name) {
			continue
		}
		if r.allows(q) {
			return guest.Allow
		}
		return guest.Deny("account ", q.Account(), " may not break the lock ", name, help)
	}
	return guest.Allow
}

func (r *rule) allows(q guest.Request) bool {
	account := q.Account()
	if guest.MatchAny(r.accounts, account) || r.own && q.LockHeld() && q.LockAccount() == account {
		return true
	}
	for _, g := range r.groups {
		if member, _ := q.InGroup(g); member {
			return true
		}
	}
	return false
}

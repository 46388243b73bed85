// Command incident is a policy that freezes locks while an incident lock is held.
// README.md beside it describes its configuration.
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

// freeze selects the locks that one incident lock freezes while it is held.
type freeze struct {
	lock  string
	match []string // lock names; nil: all
}

// The exceptions of a freeze.
const (
	passAccount = "account" // requests of the account that holds the incident lock
	passHolder  = "holder"  // of those, the ones that name the same holder
	passNone    = "none"
)

var (
	freezes    []freeze
	pass       string
	except     []string // accounts
	retryAfter time.Duration
)

func configure(config []byte) error {
	freezes = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("incidents", func(o *strict.Object) {
			o.Need("lock")
			freezes = append(freezes, freeze{o.Text("lock"), o.Names("match")})
		})
		pass = o.OneOf("pass", passAccount, passHolder, passNone)
		except = o.Texts("except")
		if retryAfter = o.Duration("retry_after", time.Millisecond); retryAfter == 0 {
			retryAfter = 30 * time.Second
		}
	})
}

func check(q guest.Request) guest.Verdict {
	name, account := q.LockName(), q.Account()
	if guest.MatchAny(except, account) {
		return guest.Allow
	}
	for i := range freezes {
		f := &freezes[i]
		if name == f.lock || f.match != nil && !guest.MatchNames(f.match, name) {
			continue
		}
		held, holder, by := q.OtherLock(f.lock)
		if !held || passes(q, account, holder, by) {
			continue
		}
		return guest.Deny(name, " is frozen while ", by, " holds the incident lock ", f.lock).RetryAfter(retryAfter)
	}
	return guest.Allow
}

func passes(q guest.Request, account, holder, by string) bool {
	switch pass {
	case passAccount:
		return account == by
	case passHolder:
		return account == by && q.Holder() == holder
	}
	return false
}

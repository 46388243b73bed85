// Command approval is a policy for two people: a lock is given only while another account
// holds the lock that approves it. README.md beside it describes its configuration.
package main

import (
	"strings"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

var (
	prefix    string   // of lock names that need approval; its place is taken by
	approval  string   // the beginning of the names of the locks that approve
	approvers []string // accounts; nil: all
	except    []string // accounts
	help      string   // added to every refusal
)

func configure(config []byte) error {
	return strict.Read(config, func(o *strict.Object) {
		o.Need("prefix")
		prefix, approval = o.Text("prefix"), "approval/"
		if o.Has("approval") {
			approval = o.Text("approval")
		}
		if approval == "" || strings.HasPrefix(approval, prefix) {
			o.Fail("approval", `is "`+approval+`"; want the beginning of other lock names than prefix, such as "approval/"`)
		}
		approvers, except = o.Texts("approvers"), o.Texts("except")
		if help = o.Text("help"); help != "" {
			help = "; " + help
		}
	})
}

func check(q guest.Request) guest.Verdict {
	name, account := q.LockName(), q.Account()
	rest, needs := strings.CutPrefix(name, prefix)
	if !needs || guest.MatchAny(except, account) {
		return guest.Allow
	}
	lock := approval + rest
	held, _, by := q.OtherLock(lock)
	switch {
	case !held:
		return guest.Deny(name, " needs approval: another account has to hold ", lock, help)
	case by == account:
		return guest.Deny(name, " needs approval by another account than ", account, ", which holds ", lock, " itself", help)
	case approvers != nil && !guest.MatchAny(approvers, by):
		return guest.Deny(name, " needs approval: ", lock, " is held by ", by, ", which may not approve", help)
	}
	return guest.Allow
}

// Command naming is a policy that wants lock names to keep to a convention. README.md
// beside it describes its configuration.
package main

import (
	"strings"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/expr"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

// rule is the convention of the names that begin with a prefix; the first that is about a
// name counts.
type rule struct {
	prefix   string     // empty: all names
	pattern  *expr.Expr // has to match the whole name; nil: none
	patterns []string   // of names, one has to match; nil: none
	right    string     // what would be, as it stands at the end of a refusal
}

var (
	rules  []rule
	others bool // names without a rule are allowed
)

func configure(config []byte) error {
	rules = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("rules", func(o *strict.Object) {
			o.Need("pattern", "patterns")
			r := rule{prefix: o.Text("prefix"), patterns: o.Names("patterns")}
			r.right = "; want " + strings.Join(r.patterns, " or ")
			if o.Has("pattern") {
				r.pattern, r.right = expr.Read(o, "pattern", "team-[a-z]+/[a-z0-9-]+"), "; want "+o.Text("pattern")
			}
			if r.patterns != nil && r.pattern != nil {
				o.Fail("pattern", "is there beside patterns; want one of them")
			}
			if help := o.Text("help"); help != "" {
				r.right += "; " + help
			}
			rules = append(rules, r)
		})
		others = o.OneOf("others", "allow", "deny") == "allow"
	})
}

func check(q guest.Request) guest.Verdict {
	if q.Hook() != guest.HookAcquire {
		return guest.Allow // a lease that exists can be renewed and broken, whatever its name
	}
	name := q.LockName()
	for i := range rules {
		r := &rules[i]
		if !strings.HasPrefix(name, r.prefix) {
			continue
		}
		if r.pattern != nil && !r.pattern.Match(name) || r.patterns != nil && !guest.MatchNames(r.patterns, name) {
			return guest.Deny("the name ", name, " is not as agreed", r.right)
		}
		return guest.Allow
	}
	if others {
		return guest.Allow
	}
	return guest.Deny("the name ", name, " is not as agreed; no rule is about it")
}

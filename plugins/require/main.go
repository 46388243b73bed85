// Command require is a policy that wants requests to say something: a ticket in the
// metadata, a reason, a holder. README.md beside it describes its configuration.
package main

import (
	"strconv"
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

// field is a required field.
type field struct {
	name     string     // reason, holder or metadata.KEY
	patterns []string   // one has to match; nil: any text that is not empty
	pattern  *expr.Expr // has to match as well; nil: none
	right    string     // what would be, as it stands at the end of a refusal
}

var (
	fields []field
	except []string // accounts
)

func configure(config []byte) error {
	fields = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("require", func(o *strict.Object) {
			f := field{name: o.Text("field"), patterns: o.Texts("patterns")}
			want := strings.Join(f.patterns, " or ")
			if o.Has("pattern") {
				want = o.Text("pattern")
				f.pattern = expr.Read(o, "pattern", "OPS-[0-9]+")
			}
			if f.patterns != nil && f.pattern != nil {
				o.Fail("pattern", "is there beside patterns; want one of them")
			}
			f.right = wanted(want, o.Text("help"))
			key, isMetadata := strings.CutPrefix(f.name, "metadata.")
			if f.name != "reason" && f.name != "holder" && (!isMetadata || key == "") {
				o.Fail("field", "is "+strconv.Quote(f.name)+"; want reason, holder or metadata.KEY")
			}
			fields = append(fields, f)
		})
		except = o.Texts("except")
	})
}

func check(q guest.Request) guest.Verdict {
	if except != nil && guest.MatchAny(except, q.Account()) {
		return guest.Allow
	}
	for i := range fields {
		f := &fields[i]
		value, _ := q.Lookup(f.name)
		switch {
		case value == "":
			return guest.Deny(f.name, " is missing", f.right)
		case f.patterns != nil && !guest.MatchAny(f.patterns, value), f.pattern != nil && !f.pattern.Match(value):
			return guest.Deny(f.name, " is \"", value, "\"", f.right)
		}
	}
	return guest.Allow
}

// wanted says what would be right.
func wanted(want, help string) (text string) {
	if want != "" {
		text = "; want " + want
	}
	if help != "" {
		text += "; " + help
	}
	return text
}

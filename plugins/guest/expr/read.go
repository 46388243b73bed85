package expr

import (
	"strconv"

	"github.com/octostore/octostore/plugins/guest/strict"
)

// Read reads a member of a policy's configuration that is a regular expression, and compiles it.
// An invalid or empty expression is a mistake of the object, reported with an example of a valid
// one; the result is nil if it does not compile. Call it in configure: compiling costs far more
// than all the matches of a request.
func Read(o *strict.Object, member, example string) *Expr {
	text := o.Text(member)
	compiled, err := Compile(text)
	switch {
	case err != nil:
		o.Fail(member, "is "+strconv.Quote(text)+"; want a regular expression of Go such as "+strconv.Quote(example)+" ("+err.Error()+")")
	case text == "":
		o.Fail(member, "is empty; leave it out")
	}
	return compiled
}

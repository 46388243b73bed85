package guest

import (
	"iter"
	"strconv"

	"github.com/octostore/octostore/plugins/guest/internal/scan"
)

// Event is one record of the audit log, a line of JSON. Its strings are valid until the
// observing function returns. docs/audit.md describes the members of records.
type Event struct{ line string }

// JSON is the whole line.
func (e Event) JSON() string { return e.line }

// Text is the value of a member that is a text, or the text of a number; empty if there is
// none. A path of names leads to a member of a member:
//
//	e.Text("metadata", "ticket")
func (e Event) Text(path ...string) string { return plain(e.find(path)) }

// Members goes through all members in the order of the line, once: name, and value as
// [Event.Text] has it.
func (e Event) Members() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for name, value := range scan.Members(e.line) {
			if !yield(name, plain(value)) {
				return
			}
		}
	}
}

// Int is the value of a member that is a whole number; 0 if there is none.
func (e Event) Int(path ...string) int64 {
	n, err := strconv.ParseInt(e.find(path), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// plain is a text without its quotation marks, and anything else as it stands there.
func plain(value string) string {
	if scan.IsText(value) {
		return scan.Text(value)
	}
	return value
}

// find returns a member as it stands in the line.
func (e Event) find(path []string) string {
	s := e.line
	for _, name := range path {
		s = scan.Member(s, name)
	}
	return s
}

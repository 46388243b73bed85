package journal

import (
	"bytes"
	"slices"
	"strings"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Decision is how a request for a lock was decided.
type Decision string

// Decisions, and the kinds of their records.
const (
	DecisionAllow Decision = "allow" // granted
	DecisionDeny  Decision = "deny"  // denied, conflict
	DecisionError Decision = "error" // policy_error
)

// Decisions returns every decision there is.
func Decisions() []Decision { return []Decision{DecisionAllow, DecisionDeny, DecisionError} }

func decisionOf(k lock.Kind) Decision {
	switch k {
	case lock.Granted:
		return DecisionAllow
	case lock.Denied, lock.Conflict:
		return DecisionDeny
	case lock.PolicyError:
		return DecisionError
	}
	return ""
}

// Filter selects lines. The zero Filter selects all; if several members are set, a line
// must match all of them.
type Filter struct {
	Name     lock.Name   // is about this lock
	Prefix   string      // the lock name begins with it; a record without a lock does not match
	Kinds    []lock.Kind // one of these
	Account  string      // holds the lease, or caused the event
	Decision Decision
	// Visible, if not nil, reports whether records about a lock name may be shown.
	// Records without a lock are left out then, too.
	Visible func(lock.Name) bool
}

// All reports whether the filter selects every line.
func (f *Filter) All() bool {
	return f.Name == "" && f.Prefix == "" && len(f.Kinds) == 0 && f.Account == "" && f.Decision == "" && f.Visible == nil
}

// Selects reports whether the filter selects the line.
func (f *Filter) Selects(l *record.Line) bool {
	switch {
	case f.Name != "" && string(l.Name) != string(f.Name):
	case f.Prefix != "" && (len(l.Name) < len(f.Prefix) || string(l.Name[:len(f.Prefix)]) != f.Prefix):
	case len(f.Kinds) > 0 && !slices.Contains(f.Kinds, l.Kind):
	case f.Decision != "" && decisionOf(l.Kind) != f.Decision:
	case f.Visible != nil && (len(l.Name) == 0 || !f.Visible(lock.Name(l.Name))):
	case f.Account != "" && !f.isOf(l):
	default:
		return true
	}
	return false
}

// isOf parses the line only if the text of the account is in it.
func (f *Filter) isOf(l *record.Line) bool {
	text := record.Quote(f.Account)
	if !bytes.Contains(l.Bytes, text) {
		return false
	}
	r, err := record.Parse(l.Bytes)
	return err == nil && (r.Account == f.Account || r.By == f.Account)
}

// String returns the filter in the form of a URL query, for people.
func (f *Filter) String() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	kinds := make([]string, 0, len(f.Kinds))
	for _, k := range f.Kinds {
		kinds = append(kinds, string(k))
	}
	const plus = "%2B" // the only character of lock names with a meaning in a query
	add("name", strings.ReplaceAll(string(f.Name), "+", plus))
	add("prefix", strings.ReplaceAll(f.Prefix, "+", plus))
	add("kind", strings.Join(kinds, ","))
	add("account", f.Account)
	add("decision", string(f.Decision))
	if f.Visible != nil {
		add("names", "readable") // tells a later reader of the file that records may be left out
	}
	return strings.Join(parts, "&")
}

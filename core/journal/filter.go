package journal

import (
	"bytes"
	"slices"
	"strings"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Decision is how a request for a lock ended, where somebody decided about it.
type Decision string

// Decisions, and the kinds that are one.
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

// Filter selects lines. The zero Filter selects all; where several members are set,
// all have to fit.
type Filter struct {
	Prefix   string      // bytes the name begins with; what is not about a lock has none
	Kinds    []lock.Kind // one of these
	Account  string      // whose lease it is, or who did it
	Decision Decision
	// Visible, if not nil, is asked for the name of every line about a lock; false
	// leaves it out. What is not about a lock is left out then, too.
	Visible func(lock.Name) bool
}

// All reports whether the filter lets every line through.
func (f *Filter) All() bool {
	return f.Prefix == "" && len(f.Kinds) == 0 && f.Account == "" && f.Decision == "" && f.Visible == nil
}

// Selects reports whether the line fits.
func (f *Filter) Selects(l *record.Line) bool {
	switch {
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

// isOf reads the whole line only if the account is somewhere in it.
func (f *Filter) isOf(l *record.Line) bool {
	text := record.Quote(f.Account)
	if !bytes.Contains(l.Bytes, text) {
		return false
	}
	r, err := record.Parse(l.Bytes)
	return err == nil && (r.Account == f.Account || r.By == f.Account)
}

// String says what the filter selects, for people: as in a query.
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
	add("prefix", strings.ReplaceAll(f.Prefix, "+", "%2B")) // the only character of names that a query has a meaning for
	add("kind", strings.Join(kinds, ","))
	add("account", f.Account)
	add("decision", string(f.Decision))
	if f.Visible != nil {
		add("names", "readable") // whoever reads the file later should know that there may be others
	}
	return strings.Join(parts, "&")
}

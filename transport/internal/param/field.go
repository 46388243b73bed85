package param

import "strings"

// Field is a parameter of requests. It comes in the query or in the body.
type Field uint8

// The parameters, in the order of names. The duration, the count or the text that each takes
// is checked where a handler reads it.
const (
	TTL Field = iota
	Wait
	Confirm
	Holder
	Reason
	LeaseID
	FencingToken
	Prefix
	Account
	Limit
	After
	Since
	Until
	Kind
	Decision
	Format
	Follow
	Take
	Name
	Scopes
	Expires
	Grace
	Code
	State
	LoginError
	DeviceID
	Waiters
	WaitersAfter
	Grants
	Hook
	At
	Sort
	Show
	Last
	Metadata // spelled meta.KEY, except in JSON
	NumFields
)

var names = [NumFields]string{
	"ttl", "wait", "confirm", "holder", "reason", "lease_id", "fencing_token", "prefix", "account", "limit", "after",
	"since", "until", "kind", "decision", "format", "follow", "take", "name", "scopes", "expires", "grace",
	"code", "state", "error", "device_id", "waiters", "waiters_after", "grants", "hook", "at", "sort", "show", "last", "metadata",
}

func named(name string) (Field, bool) {
	for f, n := range names {
		if n == name {
			return Field(f), true
		}
	}
	return 0, false
}

// mayBeEmpty are the fields that may be given with an empty value.
const mayBeEmpty = 1<<Holder | 1<<Reason | 1<<Prefix | 1<<Account | 1<<After

// Set is a set of fields.
type Set uint64

const _ = 64 - NumFields // does not compile with more fields than bits

// SetOf returns the set of some fields.
func SetOf(fields ...Field) Set {
	var s Set
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

// Has reports whether a field is in the set.
func (s Set) Has(f Field) bool { return s&(1<<f) != 0 }

// String lists the fields as a client spells them.
func (s Set) String() string {
	var all []string
	for f := range NumFields {
		switch {
		case !s.Has(f):
		case f == Metadata:
			all = append(all, "meta.KEY (in JSON: metadata)")
		default:
			all = append(all, names[f])
		}
	}
	if all == nil {
		return "no parameters"
	}
	return strings.Join(all, ", ")
}

// String returns the name of a field.
func (f Field) String() string { return names[f] }

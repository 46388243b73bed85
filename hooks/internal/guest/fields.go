package guest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/abi"
)

// Prices of the keys that look beyond the request, in the units of package meter.
const (
	PriceLook = 1024  // at another lock, which may be one of a million
	PriceZone = 16384 // of a local time, whose zone may have to be loaded
)

// field is what the getters say of a key.
type field struct {
	text    string
	number  int64
	there   bool
	numbers bool // it has a number form
}

func textField(text string) field { return field{text: text, there: true} }

func numberField(text string, n int64) field {
	return field{text: text, number: n, there: true, numbers: true}
}

// numeric is what get_i64 says.
func (f field) numeric() int64 {
	if !f.numbers {
		return abi.NoNumber
	}
	return f.number
}

// look answers the keys that look beyond the request and its own lock, and takes their
// price; looks is false for all other keys. It ends the call if the policy may not look
// there: an absent field could pass for a free lock.
func (g *caller) look(key string) (f field, looks bool) {
	if key == abi.KeyAccountGroups {
		return g.groups(), true
	}
	at := strings.IndexByte(key, ':') + 1
	kind, of := key[:at], key[at:]
	switch kind {
	case abi.PrefixLockState, abi.PrefixLockHolder, abi.PrefixLockAccount, abi.PrefixHeld, abi.PrefixLocalTime:
	default:
		return field{}, false
	}
	r := g.request
	if r.Absent != nil && r.Absent(key) {
		return field{}, true
	}
	if kind == abi.PrefixLocalTime {
		g.pay(PriceZone)
		return g.program.Zones.localTime(r.now(), of), true
	}
	if r.event != nil { // an event says what it says of its own lock
		return field{}, true
	}
	if !g.program.MayLookAt(of) {
		panic(notReadable(key, of))
	}
	switch {
	case r.Question.Locks == nil:
		return field{}, true
	case kind == abi.PrefixHeld:
		return g.heldUnder(of), true
	}
	g.pay(PriceLook)
	return lockField(kind, r.lookAt(of)), true
}

// groups are what the account is a member of, one a line.
func (g *caller) groups() field {
	r := g.request
	if r.event != nil || r.Question.Asked.Actor.Groups == "" || r.Absent != nil && r.Absent(abi.KeyAccountGroups) {
		return field{}
	}
	return textField(strings.TrimSuffix(r.Question.Asked.Actor.Groups, "\n"))
}

func notReadable(key, name string) error {
	folder := name[:strings.LastIndexByte(name, '/')+1]
	if folder == "" {
		folder = name
	}
	return fmt.Errorf(`%s is not readable: add "%s" to "reads" of the manifest`, Shown(key), Shown(folder))
}

// heldUnder counts the locks of all accounts. It looks at no more names than there is
// fuel for.
func (g *caller) heldUnder(prefix string) field {
	g.pay(PriceLook)
	affords := max(0, g.left/PriceCounted+1)
	held, looked := g.request.Question.Locks.HeldUnder(prefix, int(min(affords, abi.MaxCounted)))
	g.pay(int64(looked) * PriceCounted)
	return numberField(strconv.Itoa(held), int64(held))
}

// lockField is what is said of another lock.
func lockField(kind string, view lock.View) field {
	switch {
	case kind == abi.PrefixLockState && view.Lease != nil:
		return numberField(abi.StateHeld, 1)
	case kind == abi.PrefixLockState:
		return numberField(abi.StateFree, 0)
	case view.Lease == nil:
		return field{}
	case kind == abi.PrefixLockHolder:
		return textField(view.Lease.Holder)
	}
	return textField(view.Lease.Account)
}

// looks are the locks that were looked at last for a request. Each stays what it was at the first
// look: a policy that asks for the state and then for the account must not have the answer
// of two leases.
type looks struct {
	views [16]lock.View
	next  int
}

// lookAt returns a lock as last committed when the request first looked at it. Any text
// may be looked at: what is no name is free.
func (r *Request) lookAt(name string) lock.View {
	if r.looked == nil {
		r.looked = new(looks)
	}
	l := r.looked
	for i := range l.views {
		if string(l.views[i].Name) == name && name != "" {
			return l.views[i]
		}
	}
	view := r.Question.Locks.Get(lock.Name(strings.Clone(name)))
	l.views[l.next] = view
	l.next = (l.next + 1) % len(l.views)
	return view
}

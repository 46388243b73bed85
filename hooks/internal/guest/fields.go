package guest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/abi"
)

// Prices of the keys beyond the request, in the units of package meter.
const (
	PriceLook = 1024  // of another lock, which may be one of a million
	PriceZone = 16384 // of a local time, whose zone may have to be loaded
)

// field is the value of a key.
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

// numeric is the result of get_i64.
func (f field) numeric() int64 {
	if !f.numbers {
		return abi.NoNumber
	}
	return f.number
}

// look returns the keys beyond the request and its own lock, and takes their price; looks is false for
// all other keys. It ends the call if the policy may not read the lock, because an absent field could
// pass for a free lock.
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
	if r.event != nil { // an event has fields of its own lock only
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

// groups are the groups of the account, one per line.
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

// heldUnder counts the held locks of all accounts. It reads no more names than the fuel allows.
func (g *caller) heldUnder(prefix string) field {
	g.pay(PriceLook)
	affords := max(0, g.left/PriceCounted+1)
	held, looked := g.request.Question.Locks.HeldUnder(prefix, int(min(affords, abi.MaxCounted)))
	g.pay(int64(looked) * PriceCounted)
	return numberField(strconv.Itoa(held), int64(held))
}

// lockField is a field of another lock.
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

// looks is a cache of the other locks that a request has read last. It makes the state and the account
// that a policy gets come from the same lease.
type looks struct {
	views [16]lock.View
	next  int
}

// lookAt returns a lock as it was when the request first read it. An invalid name is a free lock.
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

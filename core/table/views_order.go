package table

import (
	"slices"

	"github.com/octostore/octostore/core/lock"
)

// mostInPiece is the largest number of locks in a piece of a [nameOrder]: what has to move for
// one that comes or goes. The memory of so many, with its header, has no gap.
const mostInPiece = 255

// nameOrder has the slots of locks in order of name. It takes little more than a pointer for
// each: pieces in order, each with some slots in order.
type nameOrder struct {
	pieces []piece
	n      int
}

type piece struct {
	first lock.Name // of its first slot
	slots []*lock.Slot
}

// len returns the number of slots; nil has none.
func (o *nameOrder) len() int {
	if o == nil {
		return 0
	}
	return o.n
}

// find returns where a name is or belongs: the piece, and the place in it. The searches are
// written out, because all requests come by here.
func (o *nameOrder) find(name lock.Name) (p, i int, found bool) {
	low, high := 0, len(o.pieces)
	for low < high {
		if middle := int(uint(low+high) >> 1); o.pieces[middle].first <= name {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, 0, false
	}
	p = low - 1
	slots := o.pieces[p].slots
	low, high = 0, len(slots)
	for low < high {
		if middle := int(uint(low+high) >> 1); slots[middle].Name() < name {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return p, low, low < len(slots) && slots[low].Name() == name
}

// findNew is find for a name that may well come after all others: those of a start do.
func (o *nameOrder) findNew(name lock.Name) (p, i int, found bool) {
	if p = len(o.pieces) - 1; p >= 0 {
		last := o.pieces[p].slots
		if last[len(last)-1].Name() < name {
			return p, len(last), false
		}
	}
	return o.find(name)
}

// get returns the slot of a name, or nil.
func (o *nameOrder) get(name lock.Name) *lock.Slot {
	if p, i, found := o.find(name); found {
		return o.pieces[p].slots[i]
	}
	return nil
}

// add adds a slot, in the place of one with its name.
func (o *nameOrder) add(s *lock.Slot) {
	p, i, found := o.findNew(s.Name())
	switch {
	case found:
		o.pieces[p].slots[i] = s
		return
	case len(o.pieces) == 0:
		o.pieces = []piece{{}}
	case len(o.pieces[p].slots) == mostInPiece:
		p, i = o.split(p, i)
	}
	o.n++
	at := &o.pieces[p]
	if n := len(at.slots); n == cap(at.slots) {
		at.slots = append(make([]*lock.Slot, 0, min(n+n/4+4, mostInPiece)), at.slots...)
	}
	at.slots = slices.Insert(at.slots, i, s)
	at.first = at.slots[0].Name()
}

// split makes two pieces of a full one, and returns where a place of it is then. What is added
// at the end begins a piece, so that names that come in order fill theirs.
func (o *nameOrder) split(p, i int) (int, int) {
	if i == mostInPiece {
		o.pieces = slices.Insert(o.pieces, p+1, piece{})
		return p + 1, 0
	}
	const half = mostInPiece / 2
	full := o.pieces[p].slots
	o.pieces[p].slots = slices.Clone(full[:half])
	o.pieces = slices.Insert(o.pieces, p+1, piece{first: full[half].Name(), slots: slices.Clone(full[half:])})
	if i <= half {
		return p, i
	}
	return p + 1, i - half
}

// remove takes out the slot of a name, if it is in.
func (o *nameOrder) remove(name lock.Name) {
	p, i, found := o.find(name)
	if !found {
		return
	}
	o.n--
	at := &o.pieces[p]
	at.slots = slices.Delete(at.slots, i, i+1)
	if len(at.slots) == 0 {
		o.pieces = slices.Delete(o.pieces, p, p+1)
		return
	}
	at.first = at.slots[0].Name()
	if p > 0 {
		o.merge(p - 1)
	} else {
		o.merge(p)
	}
}

// merge makes one piece of two neighbours that have few slots.
func (o *nameOrder) merge(p int) {
	if p+1 >= len(o.pieces) {
		return
	}
	a, b := o.pieces[p].slots, o.pieces[p+1].slots
	if len(a)+len(b) > mostInPiece/2 {
		return
	}
	o.pieces[p].slots = slices.Concat(a, b)
	o.pieces = slices.Delete(o.pieces, p+1, p+2)
}

// ascend calls each with the slots from a name on, in order, until it returns false.
func (o *nameOrder) ascend(from lock.Name, each func(*lock.Slot) bool) {
	if o.len() == 0 {
		return
	}
	p, i, _ := o.find(from)
	for ; p < len(o.pieces); p, i = p+1, 0 {
		for _, s := range o.pieces[p].slots[i:] {
			if !each(s) {
				return
			}
		}
	}
}

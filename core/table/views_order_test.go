package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// The order has what a sorted list of the names would have, whatever comes and goes.
func TestViewsOrderIsThatOfASortedList(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		order, want := new(nameOrder), map[lock.Name]*lock.Slot{}
		for round := range 40 {
			grows := rng.IntN(2) == 0
			for range rng.IntN(400) {
				name := lock.Name(fmt.Sprintf("n%04d", rng.IntN(3000)))
				if grows {
					want[name] = lock.NewSlot(name)
					order.add(want[name])
				} else {
					delete(want, name)
					order.remove(name)
				}
			}
			checkOrder(t, order, want)
			if t.Failed() {
				t.Fatalf("seed %d, round %d", seed, round)
			}
		}
	}
}

func checkOrder(t *testing.T, order *nameOrder, want map[lock.Name]*lock.Slot) {
	t.Helper()
	var names []lock.Name
	for name, slot := range want {
		names = append(names, name)
		if order.get(name) != slot {
			t.Errorf("%s has another slot", name)
		}
	}
	slices.Sort(names)
	for _, from := range []lock.Name{"", "n1500", "n15005", "z"} {
		var got []lock.Name
		order.ascend(from, func(s *lock.Slot) bool {
			got = append(got, s.Name())
			return true
		})
		first, _ := slices.BinarySearch(names, from)
		if !slices.Equal(got, names[first:]) {
			t.Errorf("from %q there are %d names, want %d", from, len(got), len(names)-first)
		}
	}
	if order.len() != len(want) {
		t.Errorf("it has %d, and says %d", len(want), order.len())
	}
}

// An order takes little more than a pointer for each name, in whichever way they came, and
// little of what it had once stays.
func TestViewsOrderIsCompact(t *testing.T) {
	const names = 100_000
	room := func(o *nameOrder) (slots int) {
		for _, p := range o.pieces {
			slots += cap(p.slots)
		}
		return slots + 5*len(o.pieces)
	}
	sorted, mixed := new(nameOrder), new(nameOrder)
	slots := make([]*lock.Slot, names)
	for i := range slots {
		slots[i] = lock.NewSlot(lock.Name(fmt.Sprintf("n%06d", i)))
		sorted.add(slots[i])
	}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(names) {
		mixed.add(slots[i])
	}
	if a, b := room(sorted), room(mixed); a > names*108/100 || b > names*17/10 {
		t.Errorf("room for %d and %d slots, for %d names", a, b, names)
	}
	for i, s := range slots {
		if i%100 != 0 {
			sorted.remove(s.Name())
			mixed.remove(s.Name())
		}
	}
	if a, b := room(sorted), room(mixed); a > names/100*8 || b > names/100*8 {
		t.Errorf("room for %d and %d slots stays, for %d names", a, b, names/100)
	}
}

// A full piece is split right wherever the name belongs that does not fit.
func TestViewsOrderSplitsAtEveryPlace(t *testing.T) {
	for at := range mostInPiece + 1 {
		order, want := new(nameOrder), map[lock.Name]*lock.Slot{}
		add := func(name lock.Name) {
			want[name] = lock.NewSlot(name)
			order.add(want[name])
		}
		for i := range mostInPiece {
			add(lock.Name(fmt.Sprintf("n%04d", 2*i)))
		}
		add(lock.Name(fmt.Sprintf("n%04d", max(0, 2*at-1))))
		if at == 0 {
			add("a")
		}
		checkOrder(t, order, want)
		if t.Failed() {
			t.Fatalf("at %d", at)
		}
	}
}

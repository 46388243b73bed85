package table

import (
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// While a commit hangs, more acquires than a batch can take may be given up. None of them
// reaches the machine, which would grant locks that nobody is told of.
func TestGivenUpAcquiresDoNotReachTheMachine(t *testing.T) {
	tab := new(Table)
	add := func(do lock.Verb, state int32) {
		r := newRequest(do, "x", lock.Origin{})
		r.state.Store(state)
		tab.pending = append(tab.pending, &r.Command)
	}
	add(lock.DoAcquire, asked)
	for range 2 * lock.BatchSteps {
		add(lock.DoAcquire, givenUp)
	}
	add(lock.DoRelease, givenUp) // the holder may be gone, and the lock is free then
	add(lock.DoAcquire, asked)
	tab.dropGivenUp()
	if len(tab.pending) != 3 {
		t.Fatalf("%d commands are left, want 3", len(tab.pending))
	}
	for i, want := range []lock.Verb{lock.DoAcquire, lock.DoRelease, lock.DoAcquire} {
		if got := tab.pending[i].Verb; got != want {
			t.Errorf("command %d has verb %d, want %d", i, got, want)
		}
	}
}

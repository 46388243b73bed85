package hooks

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/internal/guest"
)

// A judgement is used again for other questions, so it forgets the last one.
func TestJudgementKeepsNothing(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", check(at("request")+"i32.const 500 i32.const 100 call $get drop i32.const 1"))
	p := h.open(entry("p")).current().policies[0]
	j := judgements.Get().(*judgement)
	j.Question = question("prod/db")
	if o := p.ask(t.Context(), j); o.Fault != nil || !o.Denies {
		t.Errorf("got %+v", o)
	}
	if n := p.engine.slots.running(); n != 1 {
		t.Errorf("%d guests run", n)
	}
	j.release()
	if !reflect.ValueOf(*j).IsZero() {
		t.Errorf("the judgement keeps %+v", *j)
	}
	if n := p.engine.slots.running(); n != 0 {
		t.Errorf("%d guests run at the end", n)
	}
}

// What a judgement costs does not grow by what is put aside for the garbage collector: the
// verdicts, which are kept, are all it allocates.
func TestJudgementAllocatesItsVerdictsOnly(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", readsThree)
	host, q := h.open(entry("p")), question("prod/db")
	if host.Engine() != Compiled {
		return // the interpreter allocates for every call
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := host.Judge(context.Background(), q); err != nil {
			t.Error(err)
		}
	}); n > 0.5 { // it allows in silence; a collection may empty the pool of requests
		t.Errorf("%v allocations", n)
	}
}

// takeSlot has a judgement ask a policy for a slot.
func takeSlot(ctx context.Context, slots *guestSlots, j *judgement) error {
	_, err := (&policy{engine: &engine{slots: slots}}).slotFor(ctx, j)
	return err
}

// A judgement by many policies keeps its turn for a while, however many wait. Then requests
// that wait come first.
func TestJudgementLetsOthersThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := newGuestSlots(1)
		var long judgement
		var order []string
		for n := range 2 {
			if err := takeSlot(t.Context(), slots, &long); err != nil {
				t.Fatal(err)
			}
			order = append(order, fmt.Sprint("policy ", n))
		}
		go func() {
			var short judgement
			_ = takeSlot(context.Background(), slots, &short)
			order = append(order, "another")
			short.freeSlot()
		}()
		go func() {
			if slots.take(context.Background(), true) == nil {
				order = append(order, "an observer")
				slots.done(true)
			}
		}()
		synctest.Wait()
		if err := takeSlot(t.Context(), slots, &long); err != nil || len(order) > 2 || slots.running() != 1 {
			t.Fatalf("%v: %v, %d run", err, order, slots.running())
		}
		long.spent = slotFuel
		for n := range 2 {
			if err := takeSlot(t.Context(), slots, &long); err != nil {
				t.Fatal(err)
			}
			order = append(order, fmt.Sprint("policy ", n+2))
		}
		long.freeSlot()
		synctest.Wait()
		if want := []string{"policy 0", "policy 1", "another", "policy 2", "policy 3", "an observer"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		if slots.state.Load() != 0 {
			t.Errorf("the state is %x at the end", slots.state.Load())
		}
	})
}

// A client that leaves while its judgement waits for another turn has none afterwards.
func TestJudgementThatEndsWaitingHasNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := newGuestSlots(1)
		var long judgement
		if err := takeSlot(t.Context(), slots, &long); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		go func() {
			if slots.take(context.Background(), false) == nil {
				<-release
				slots.done(false)
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		long.spent = slotFuel
		if err := takeSlot(ctx, slots, &long); err == nil {
			t.Error("it has a turn")
		}
		long.freeSlot()
		close(release)
		synctest.Wait()
		if slots.state.Load() != 0 {
			t.Errorf("the state is %x at the end", slots.state.Load())
		}
	})
}

// A set is closed when the last call in it has left, and not before: also while calls come and
// go without a lock.
func TestSetIsClosedAfterItsLastCall(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", readsThree)
	host := h.open(entry("p"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				if _, err := host.Judge(context.Background(), question("prod/db")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var sets []*set
	for range 20 {
		sets = append(sets, host.current())
		if _, err := host.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	for _, s := range sets {
		p := s.policies[0]
		p.mu.Lock()
		if s.users.Load() != 0 || !p.closed || len(p.free) > 0 {
			t.Errorf("a set that was replaced has %d users and %d instances, and is closed: %v", s.users.Load(), len(p.free), p.closed)
		}
		p.mu.Unlock()
	}
	if s := host.current(); s.users.Load() != 1 || s.policies[0].closed {
		t.Errorf("the set that rules has %d users", s.users.Load())
	}
}

// newJudgement is a judgement that did not come from the pool.
func newJudgement(q core.Question) *judgement {
	return &judgement{Request: guest.NewRequest(q, time.Now())}
}

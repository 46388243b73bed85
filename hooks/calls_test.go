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
)

// An instance and a request are used again for others, so they forget the last one: whatever
// the guest did with it, and also if that was too much.
func TestNothingOfARequestIsKept(t *testing.T) {
	h := newHouse(t)
	everything := at("key") + at("value") + "call $note " + at("not today") + "call $deny i64.const 60000 call $retry_after_ms " +
		at("ttl_ms") + "i64.const 5000 call $cap " + at("account.held:prod/") + "call $get_i64 drop " + at("request") + "i32.const 500 i32.const 100 call $get drop "
	h.write("p.wasm", check(everything+"i32.const 1"))
	p := h.open(entry("p")).current().policies[0]
	r := requests.Get().(*request)
	r.q = question("prod/db")
	i, failed := p.take(r)
	if failed != nil {
		t.Fatal(failed)
	}
	if err := takeTurn(t.Context(), p.engine.turns, r); err != nil {
		t.Fatal(err)
	}
	o := p.runOn(i, r)
	if o.fault != nil || !o.denies || len(o.notes) != 1 || o.ttl == 0 {
		t.Errorf("got %+v", o)
	}
	r.release()
	if !reflect.ValueOf(*r).IsZero() {
		t.Errorf("the request keeps %+v", *r)
	}
	if !reflect.ValueOf(i.answering).IsZero() || i.now != nil || i.caller.call != nil || i.caller.inside {
		t.Errorf("the instance keeps %+v, %+v", i.answering, i.caller)
	}
	if n := p.engine.turns.running(); n != 0 {
		t.Errorf("%d guests run", n)
	}
}

// What a judgement costs does not grow by what is put aside for the garbage collector: the
// verdicts, which are kept, are all it allocates.
func TestAJudgementAllocatesItsVerdictsOnly(t *testing.T) {
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

// takeTurn has a request ask a policy for a turn.
func takeTurn(ctx context.Context, turns *turns, r *request) error {
	_, err := (&policy{engine: &engine{turns: turns}}).placeFor(ctx, r)
	return err
}

// A judgement by many policies keeps its turn for a while, however many wait. Then requests
// that wait come first.
func TestAJudgementLetsOthersThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		var long request
		var order []string
		for n := range 2 {
			if err := takeTurn(t.Context(), turns, &long); err != nil {
				t.Fatal(err)
			}
			order = append(order, fmt.Sprint("policy ", n))
		}
		go func() {
			var short request
			_ = takeTurn(context.Background(), turns, &short)
			order = append(order, "another")
			short.endTurn()
		}()
		go func() {
			if turns.take(context.Background(), true) == nil {
				order = append(order, "an observer")
				turns.done(true)
			}
		}()
		synctest.Wait()
		if err := takeTurn(t.Context(), turns, &long); err != nil || len(order) > 2 || turns.running() != 1 {
			t.Fatalf("%v: %v, %d run", err, order, turns.running())
		}
		long.spent = turnFuel
		for n := range 2 {
			if err := takeTurn(t.Context(), turns, &long); err != nil {
				t.Fatal(err)
			}
			order = append(order, fmt.Sprint("policy ", n+2))
		}
		long.endTurn()
		synctest.Wait()
		if want := []string{"policy 0", "policy 1", "another", "policy 2", "policy 3", "an observer"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		if turns.state.Load() != 0 {
			t.Errorf("the state is %x at the end", turns.state.Load())
		}
	})
}

// A client that leaves while its judgement waits for another turn has none afterwards.
func TestAJudgementThatEndsWaitingHasNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		var long request
		if err := takeTurn(t.Context(), turns, &long); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		go func() {
			if turns.take(context.Background(), false) == nil {
				<-release
				turns.done(false)
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		long.spent = turnFuel
		if err := takeTurn(ctx, turns, &long); err == nil {
			t.Error("it has a turn")
		}
		long.endTurn()
		close(release)
		synctest.Wait()
		if turns.state.Load() != 0 {
			t.Errorf("the state is %x at the end", turns.state.Load())
		}
	})
}

// A set is closed when the last call in it has left, and not before: also while calls come and
// go without a lock.
func TestASetIsClosedAfterItsLastCall(t *testing.T) {
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

// Every judgement has one time, whoever of its policies asks for it, and however late.
func TestAJudgementHasOneTime(t *testing.T) {
	r := &request{q: core.Question{}}
	first := r.now()
	for r.now() == first && time.Since(first) < time.Millisecond {
	}
	if n, is := r.number("now_ms"); !is || n != first.UnixMilli() || r.now() != first {
		t.Errorf("got %d, then %v, after %v", n, r.now(), first)
	}
}

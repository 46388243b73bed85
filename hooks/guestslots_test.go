package hooks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Checks go before observers, however long these have waited, and at most one observer runs beside
// them.
func TestGuestSlotsServeChecksBeforeObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := newGuestSlots(2)
		slots.take(t.Context(), false)
		slots.take(t.Context(), false)
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		wait := func(name string, observing bool) {
			all.Go(func() {
				if slots.take(t.Context(), observing) == nil {
					mu.Lock()
					order = append(order, name)
					mu.Unlock()
				}
			})
			synctest.Wait()
		}
		wait("observer 1", true)
		wait("observer 2", true)
		wait("check 1", false)
		wait("check 2", false)
		for range 3 {
			slots.done(false)
			synctest.Wait()
		}
		slots.done(false) // both slots are free but for observer 1
		synctest.Wait()
		if want := []string{"check 1", "check 2", "observer 1"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		slots.done(true)
		all.Wait()
		if len(order) != 4 || slots.running() != 1 {
			t.Errorf("got %v, %d run", order, slots.running())
		}
	})
}

// A slot that comes to a caller that gives up waiting is not lost.
func TestGuestSlotsAreNotLost(t *testing.T) {
	slots := newGuestSlots(2)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%7)*time.Microsecond)
				err := slots.take(ctx, i%2 == 0)
				if err == nil && i%2 != 0 {
					_, err = slots.keep(ctx)
				}
				if err == nil {
					slots.done(i%2 == 0)
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	slots.close()
	if slots.running() != 2 || slots.observing || len(slots.checks)+len(slots.observers) > 0 {
		t.Errorf("got %+v", slots)
	}
}

package hooks

import (
	"context"
	"sync"
	"sync/atomic"
)

// guestSlots bounds the number of guests that run at a time. Checks, for which a client waits, go
// before observers. Observers have one slot at a time, because a running guest cannot be
// interrupted.
type guestSlots struct {
	most int
	// state is the number of slots in use, with the bit queued while any caller waits. Without
	// that bit one atomic operation takes or frees a slot; with it, callers need mu.
	state atomic.Int64

	mu        sync.Mutex // held for moments only
	observing bool
	checks    []chan struct{} // waiting, first come, first served
	observers []chan struct{}
}

const queued = 1 << 32

func newGuestSlots(most int) *guestSlots { return &guestSlots{most: most} }

func (g *guestSlots) running() int { return int(g.state.Load() % queued) }

// try takes a slot if one is free. After true the caller calls done.
func (g *guestSlots) try(observing bool) bool {
	if observing {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.observing {
			return false
		}
	}
	for {
		s := g.state.Load()
		if s%queued >= int64(g.most) || !observing && s >= queued {
			return false
		}
		if g.state.CompareAndSwap(s, s+1) {
			if observing {
				g.observing = true
			}
			return true
		}
	}
}

// take waits for a slot, or until ctx ends. After nil the caller calls done.
func (g *guestSlots) take(ctx context.Context, observing bool) error {
	if !observing && g.try(false) {
		return nil
	}
	_, err := g.takeInLine(ctx, observing)
	return err
}

// keep lets a check keep its slot, unless other checks wait: then it goes to the end of their queue.
// After an error the slot is gone.
func (g *guestSlots) keep(ctx context.Context) (waited bool, _ error) {
	if g.state.Load() < queued {
		return false, nil
	}
	g.mu.Lock()
	others := len(g.checks) > 0
	g.mu.Unlock()
	if !others {
		return false, nil
	}
	g.done(false)
	return g.takeInLine(ctx, false)
}

// takeInLine is take for a caller that may have to wait, and reports whether it did.
func (g *guestSlots) takeInLine(ctx context.Context, observing bool) (waited bool, _ error) {
	g.mu.Lock()
	if g.begins(observing) {
		g.mu.Unlock()
		return false, nil
	}
	slot := make(chan struct{})
	queue := g.queue(observing)
	*queue = append(*queue, slot)
	g.mu.Unlock()
	select {
	case <-slot:
		return true, nil
	case <-ctx.Done():
		g.leave(slot, observing)
		return true, ctx.Err()
	}
}

func (g *guestSlots) queue(observing bool) *[]chan struct{} {
	if observing {
		return &g.observers
	}
	return &g.checks
}

// begins takes a free slot, or marks that a caller waits.
func (g *guestSlots) begins(observing bool) bool {
	if observing && g.observing {
		g.state.Or(queued)
		return false
	}
	for {
		s := g.state.Load()
		if free := s%queued < int64(g.most); !free && g.state.CompareAndSwap(s, s|queued) {
			return false
		} else if free && g.state.CompareAndSwap(s, s+1) {
			g.observing = g.observing || observing
			return true
		}
	}
}

// calm removes the mark when no caller waits any more.
func (g *guestSlots) calm() {
	if len(g.checks)+len(g.observers) == 0 {
		g.state.And(^queued)
	}
}

// leave gives up waiting. A slot that came meanwhile goes to the next caller.
func (g *guestSlots) leave(slot chan struct{}, observing bool) {
	g.mu.Lock()
	queue := g.queue(observing)
	for i, c := range *queue {
		if c == slot {
			*queue = append((*queue)[:i], (*queue)[i+1:]...)
			g.calm()
			g.mu.Unlock()
			return
		}
	}
	g.mu.Unlock()
	g.done(observing)
}

// done frees a slot, and gives it to the next caller.
func (g *guestSlots) done(observing bool) {
	if s := g.state.Load(); !observing && s < queued && g.state.CompareAndSwap(s, s-1) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.calm()
	g.state.Add(-1)
	if observing {
		g.observing = false
	}
	for g.running() < g.most {
		switch {
		case len(g.checks) > 0:
			g.next(false)
		case len(g.observers) > 0 && !g.observing:
			g.next(true)
		default:
			return
		}
	}
}

func (g *guestSlots) next(observing bool) {
	queue := g.queue(observing)
	slot := (*queue)[0]
	*queue = (*queue)[1:]
	g.state.Add(1)
	g.observing = g.observing || observing
	close(slot)
}

// close waits until no guest runs, and keeps all slots.
func (g *guestSlots) close() {
	for range g.most {
		_ = g.take(context.Background(), false)
	}
}

package hooks

import (
	"context"
	"sync"
	"sync/atomic"
)

// turns bounds how many guests run at a time. Whoever asks for a lock goes before
// observers, which have time; and of these one runs at a time, since a guest that runs
// cannot be interrupted.
type turns struct {
	most int
	// state counts the guests that run, and has the bit queued while any caller waits. Without
	// that bit a check begins and ends by one atomic operation. With it, all goes through mu.
	state atomic.Int64

	mu        sync.Mutex // held for moments only
	observing bool
	checks    []chan struct{} // waiting, first come, first served
	observers []chan struct{}
}

const queued = 1 << 32

func newTurns(most int) *turns { return &turns{most: most} }

func (t *turns) running() int { return int(t.state.Load() % queued) }

// try takes a turn if there is one now. The caller that gets one calls done.
func (t *turns) try(observing bool) bool {
	if observing {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.observing {
			return false
		}
	}
	for {
		s := t.state.Load()
		if s%queued >= int64(t.most) || !observing && s >= queued {
			return false
		}
		if t.state.CompareAndSwap(s, s+1) {
			if observing {
				t.observing = true
			}
			return true
		}
	}
}

// take waits for a turn, or until ctx ends. Whoever gets nil calls done.
func (t *turns) take(ctx context.Context, observing bool) error {
	if !observing && t.try(false) {
		return nil
	}
	_, err := t.takeInLine(ctx, observing)
	return err
}

// keep goes on with the turn of a check, unless other checks wait: then it goes to the end of
// their queue. After an error the turn is gone.
func (t *turns) keep(ctx context.Context) (waited bool, _ error) {
	if t.state.Load() < queued {
		return false, nil
	}
	t.mu.Lock()
	others := len(t.checks) > 0
	t.mu.Unlock()
	if !others {
		return false, nil
	}
	t.done(false)
	return t.takeInLine(ctx, false)
}

// takeInLine is take for a caller that may have to wait, and says whether it had to.
func (t *turns) takeInLine(ctx context.Context, observing bool) (waited bool, _ error) {
	t.mu.Lock()
	if t.begins(observing) {
		t.mu.Unlock()
		return false, nil
	}
	turn := make(chan struct{})
	queue := t.queue(observing)
	*queue = append(*queue, turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return true, nil
	case <-ctx.Done():
		t.leave(turn, observing)
		return true, ctx.Err()
	}
}

func (t *turns) queue(observing bool) *[]chan struct{} {
	if observing {
		return &t.observers
	}
	return &t.checks
}

// begins takes a free turn, or marks that a caller waits from now on.
func (t *turns) begins(observing bool) bool {
	if observing && t.observing {
		t.state.Or(queued)
		return false
	}
	for {
		s := t.state.Load()
		if free := s%queued < int64(t.most); !free && t.state.CompareAndSwap(s, s|queued) {
			return false
		} else if free && t.state.CompareAndSwap(s, s+1) {
			t.observing = t.observing || observing
			return true
		}
	}
}

// calm takes the mark away when the last caller that waited has gone.
func (t *turns) calm() {
	if len(t.checks)+len(t.observers) == 0 {
		t.state.And(^queued)
	}
}

// leave gives up waiting. A turn that came meanwhile goes to the next.
func (t *turns) leave(turn chan struct{}, observing bool) {
	t.mu.Lock()
	queue := t.queue(observing)
	for i, c := range *queue {
		if c == turn {
			*queue = append((*queue)[:i], (*queue)[i+1:]...)
			t.calm()
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.done(observing)
}

// done ends a turn and gives it to the next.
func (t *turns) done(observing bool) {
	if s := t.state.Load(); !observing && s < queued && t.state.CompareAndSwap(s, s-1) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.calm()
	t.state.Add(-1)
	if observing {
		t.observing = false
	}
	for t.running() < t.most {
		switch {
		case len(t.checks) > 0:
			t.next(false)
		case len(t.observers) > 0 && !t.observing:
			t.next(true)
		default:
			return
		}
	}
}

func (t *turns) next(observing bool) {
	queue := t.queue(observing)
	turn := (*queue)[0]
	*queue = (*queue)[1:]
	t.state.Add(1)
	t.observing = t.observing || observing
	close(turn)
}

// close waits until nobody runs and keeps it so.
func (t *turns) close() {
	for range t.most {
		_ = t.take(context.Background(), false)
	}
}

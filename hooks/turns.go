package hooks

import (
	"context"
	"sync"
)

// turns bounds how many guests run at a time. Whoever asks for a lock goes before
// observers, which have time; and of these one runs at a time, since a guest that runs
// cannot be interrupted.
type turns struct {
	mu        sync.Mutex // held for moments only
	most      int
	running   int
	observing bool
	checks    []chan struct{} // waiting, first come, first served
	observers []chan struct{}
}

func newTurns(most int) *turns { return &turns{most: most} }

// try takes a turn if there is one now. The caller that gets one calls done.
func (t *turns) try(observing bool) bool {
	t.mu.Lock()
	free := t.running < t.most && !(observing && t.observing)
	if free {
		t.begin(observing)
	}
	t.mu.Unlock()
	return free
}

// take waits for a turn, or until ctx ends. Whoever gets nil calls done.
func (t *turns) take(ctx context.Context, observing bool) error {
	t.mu.Lock()
	if t.running < t.most && !(observing && t.observing) {
		t.begin(observing)
		t.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	queue := t.queue(observing)
	*queue = append(*queue, turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		t.leave(turn, observing)
		return ctx.Err()
	}
}

func (t *turns) queue(observing bool) *[]chan struct{} {
	if observing {
		return &t.observers
	}
	return &t.checks
}

func (t *turns) begin(observing bool) {
	t.running++
	t.observing = t.observing || observing
}

// leave gives up waiting. A turn that came meanwhile goes to the next.
func (t *turns) leave(turn chan struct{}, observing bool) {
	t.mu.Lock()
	queue := t.queue(observing)
	for i, c := range *queue {
		if c == turn {
			*queue = append((*queue)[:i], (*queue)[i+1:]...)
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.done(observing)
}

// done ends a turn and gives it to the next.
func (t *turns) done(observing bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if observing {
		t.observing = false
	}
	for t.running < t.most {
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
	t.begin(observing)
	close(turn)
}

// close waits until nobody runs and keeps it so.
func (t *turns) close() {
	for range t.most {
		_ = t.take(context.Background(), false)
	}
}

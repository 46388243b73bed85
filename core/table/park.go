package table

import (
	"context"
	"sync"
	"time"
)

// parked is a request that waits and whose caller has no goroutine meanwhile.
type parked struct {
	request *request
	resume  func()
	alarm   *time.Timer // for the end of the wait
	stop    func() bool // undoes the watch of the context
}

// happened stands where a parked request would, once there is something for it to do.
var happened parked

// parking holds the parked requests of a table, so that all of them can be resumed.
type parking struct {
	mu    sync.Mutex // held briefly
	all   map[*parked]struct{}
	ended bool
}

// WaitBriefly is [Asked.Wait] for at most a while: it returns true when Wait would return at
// once, and false if the request still waits. It is called at most once.
func (a Asked) WaitBriefly(ctx context.Context, most time.Duration) bool {
	a.request.answered = a.table.await(ctx, a.request, most)
	return a.request.answered
}

// Park lets a request wait without a goroutine. It has resume called once, in a goroutine of its
// own, as soon as there is something to do: there is an answer or a call, the wait is over, or ctx
// has ended. Then the caller calls [Asked.Wait], with the same context. Park returns false if that
// has happened already: resume is not called, and the caller calls Wait at once.
func (a Asked) Park(ctx context.Context, resume func()) bool {
	t, c := a.table, a.request
	c.place = &parked{request: c, resume: resume}
	t.requests.leaveTimer(c)
	if !t.parking.add(c.place) {
		return false
	}
	c.place.alarm = time.AfterFunc(time.Until(c.At.Add(c.Acquire.Wait)), c.wake)
	c.place.stop = context.AfterFunc(ctx, c.wake)
	return c.parked.CompareAndSwap(nil, c.place)
}

// wake resumes the request if it is parked. It may be called by anybody at any time while the
// request is in use, and takes as long as resume does.
func (c *request) wake() {
	if p := c.happens(); p != nil {
		p.resume()
	}
}

// happens notes that there is something to do, and returns the parked request, which the caller
// resumes, or nil.
func (c *request) happens() *parked {
	if p := c.parked.Swap(&happened); p != &happened {
		return p
	}
	return nil
}

// leave ends the parking of a request that is resumed, or was not parked after all.
func (k *parking) leave(c *request) {
	p := c.place
	k.mu.Lock()
	delete(k.all, p)
	waking := k.ended
	k.mu.Unlock()
	if p.alarm != nil {
		silenced, unwatched := p.alarm.Stop(), p.stop()
		waking = waking || !silenced || !unwatched
	}
	if waking {
		c.crossed = true // a call of wake may be under way
	}
}

// add returns false if requests cannot be parked any more.
func (k *parking) add(p *parked) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return false
	}
	if k.all == nil {
		k.all = map[*parked]struct{}{}
	}
	k.all[p] = struct{}{}
	return true
}

// end resumes all parked requests. None is parked afterwards.
func (k *parking) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	for p := range k.all {
		go p.request.wake()
	}
}

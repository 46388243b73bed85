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
	stop    func() bool // of the caller's watch
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
// own, as soon as there is something to do: there is an answer or a call, the wait is over, or wake
// was called. Then the caller calls [Asked.Unpark] and [Asked.Wait]. Park returns false if that has
// happened already: resume is not called, and the caller goes on at once.
//
// Park calls watch, which has wake called, in a goroutine of its own, when the client stops waiting.
// Unpark calls stop, which undoes that and returns false if wake has been called, or may be still.
func (a Asked) Park(watch func(wake func()) (stop func() bool), resume func()) bool {
	t, c := a.table, a.request
	c.place = &parked{request: c, resume: resume}
	t.requests.leaveTimer(c)
	if !t.parking.add(c.place) {
		return false
	}
	c.place.alarm = time.AfterFunc(time.Until(c.At.Add(c.Acquire.Wait)), c.wake)
	c.place.stop = watch(c.wake)
	return c.parked.CompareAndSwap(nil, c.place)
}

// Unpark ends the parking of a request that is resumed, or was not parked after all. It reports
// whether the answer is there or about to be: then Wait does not wait for anything else.
func (a Asked) Unpark() (answering bool) {
	a.table.parking.leave(a.request)
	a.table.requests.takeTimer(a.request)
	return a.request.state.Load() == answered
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

// leave undoes what Park has done.
func (k *parking) leave(c *request) {
	p := c.place
	c.place = nil
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

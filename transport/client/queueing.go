package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/octostore/octostore/transport/api"
)

const (
	// overlap is how long a request waits on after the next one of its attempt was sent, so that
	// the place in the queue always has a listener.
	overlap = 5 * time.Second
	// lateness is how much later than its wait an answer may come.
	lateness = 5 * time.Second
	// leaving is how long to try to give up what was acquired, or a place in the queue.
	leaving = 3 * time.Second
)

// queueing is the wait for a lock. All its requests of one attempt carry the same key.
type queueing struct {
	c     *Client
	name  string
	o     AcquireOptions
	began time.Duration

	key    string
	ownKey bool          // the caller's
	slice  time.Duration // after which the next request is sent
	// sliceBefore is the slice before the last request that was cut off.
	sliceBefore time.Duration

	answers  chan answer
	cancel   context.CancelFunc // ends the requests that are under way
	underWay int
	newest   int   // number of the newest request
	unsure   bool  // the server may know of a place or a lease that this client does not
	failures int   // one after another
	last     error // the last answer that was waited out
}

// answer is the end of a request.
type answer struct {
	number int
	sent   time.Duration
	took   time.Duration
	grant  api.Grant
	err    error
	gone   bool // the request may have reached the server
}

// newQueueing returns a wait that begins now, or what is wrong with its options.
func (c *Client) newQueueing(name string, o AcquireOptions) (*queueing, error) {
	own := o.Key != ""
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &queueing{c: c, name: name, o: o, began: c.now(), key: o.Key, ownKey: own, slice: o.Slice, sliceBefore: o.Slice}, nil
}

// begin begins a new attempt.
func (q *queueing) begin() { q.key, q.unsure, q.failures = newKey(), false, 0 }

func newKey() string { return rand.Text() }

// wait returns a grant, or the error to give up with.
func (q *queueing) wait(ctx context.Context) (answer, error) {
	requests, cancel := context.WithCancel(ctx)
	q.answers, q.cancel = make(chan answer), cancel
	defer q.stop()
	next := time.NewTimer(q.send(requests))
	defer next.Stop()
	for {
		select {
		case a := <-q.answers:
			q.underWay--
			if a.err == nil {
				return a, nil
			}
			if ctx.Err() != nil {
				q.unsure = q.unsure || a.gone
				return q.leave(ctx)
			}
			if a.number != q.newest {
				q.followed(a.err)
				continue
			}
			q.weigh(a)
			if !q.goesOn(a.err) || q.over() {
				return q.giveUp(ctx, a.err)
			}
			next.Reset(q.pauseAfter(a))
		case <-next.C:
			next.Reset(q.send(requests))
		case <-ctx.Done():
			return q.leave(ctx)
		}
	}
}

// send sends the next request, and returns when to send the one after it.
func (q *queueing) send(ctx context.Context) time.Duration {
	left, slice := q.left(), q.nextSlice()
	r := q.request(min(left, slice+overlap))
	q.newest++
	q.underWay++
	go q.ask(ctx, q.newest, r)
	if left <= slice {
		return left + 2*lateness // its answer comes before
	}
	return slice
}

// nextSlice is how long the next request waits until another follows. The first ones of a wait
// that is shown to somebody are short, for the answer to a request that is superseded says who has
// the lock.
func (q *queueing) nextSlice() time.Duration {
	if q.o.Waiting == nil || q.newest >= 4 {
		return q.slice
	}
	return min(q.slice, 250*time.Millisecond<<(2*q.newest))
}

func (q *queueing) request(wait time.Duration) AcquireRequest {
	return AcquireRequest{
		Name: q.name, TTL: q.o.TTL, Confirm: q.o.Confirm, Wait: wait, Key: q.key,
		Holder: q.o.Holder, Reason: q.o.Reason, Metadata: q.o.Metadata,
	}
}

func (q *queueing) ask(ctx context.Context, number int, r AcquireRequest) {
	a := q.exchange(ctx, r, r.Wait+lateness)
	a.number = number
	q.answers <- a
}

// exchange sends one request, the answer to which must not take longer than most.
func (q *queueing) exchange(ctx context.Context, r AcquireRequest, most time.Duration) answer {
	s := &sending{most: most}
	a := answer{sent: q.c.now()}
	a.grant, a.err = q.c.acquire(ctx, r, s)
	a.took, a.gone = q.c.now()-a.sent, s.gone.Load()
	return a
}

// stop ends the requests that are under way, and waits for them. It returns a grant that was among
// their answers.
func (q *queueing) stop() (granted *answer) {
	q.cancel()
	for ; q.underWay > 0; q.underWay-- {
		a := <-q.answers
		if a.err == nil {
			granted = &a
		}
		q.unsure = q.unsure || a.gone
	}
	return granted
}

// left is how long the wait goes on.
func (q *queueing) left() time.Duration {
	if q.o.Wait < 0 {
		return time.Hour
	}
	return max(0, q.o.Wait-q.waited())
}

func (q *queueing) over() bool            { return q.left() <= 0 }
func (q *queueing) waited() time.Duration { return q.c.now() - q.began }

func (q *queueing) report(err error, pause time.Duration) {
	q.last = err
	if q.o.Waiting == nil {
		return
	}
	w := Waiting{Err: err, RetryIn: pause, Waited: q.waited()}
	if e, is := errors.AsType[*Error](err); is {
		w.Held = e.HeldProblem
	}
	q.o.Waiting(w)
}

// followed looks at the answer to a request that a newer one follows: superseded, usually, which
// says who has the lock.
func (q *queueing) followed(err error) {
	e, is := errors.AsType[*Error](err)
	switch {
	case is && e.HeldProblem != nil:
		q.sliceBefore = q.slice // it lasted
		held := *e
		held.Code, held.Title, held.Detail = api.CodeHeld, "Lock is held", describe(e.HeldProblem)
		q.report(&held, 0)
	case errors.Is(err, errNoAnswer), errors.Is(err, errNoConnection):
		q.report(err, 0)
	}
}

// describe says who has a lock.
func describe(h *api.HeldProblem) string {
	switch {
	case h.Lease == nil:
		return "the lock is held, or promised to somebody who waited for it"
	case h.Lease.Holder == "":
		return fmt.Sprintf("the lock is held by account %q", h.Lease.Account)
	}
	return fmt.Sprintf("the lock is held by %q (account %q)", h.Lease.Holder, h.Lease.Account)
}

// weigh takes note of whether the server may know of a place or a lease that this client does not.
func (q *queueing) weigh(a answer) {
	switch {
	case !a.gone || stopped(a.err): // what was before is still so
	case mayBeDone(a.err):
		q.unsure = true
	case errors.Is(a.err, ErrHeld) || errors.Is(a.err, ErrAttemptOver):
		q.unsure = false
	}
}

// stopped reports whether something else than an OctoStore server refused a request, before it
// could reach one.
func stopped(err error) bool {
	if f, is := errors.AsType[*ForeignError](err); is {
		return f.Status/100 == 3
	}
	e, is := errors.AsType[*Error](err)
	return is && e.Code == "" && e.Status/100 == 4 && e.Status != http.StatusRequestTimeout
}

// goesOn reports whether a later request may do better than one with this error.
func (q *queueing) goesOn(err error) bool {
	if errors.Is(err, ErrAttemptOver) && !q.ownKey {
		q.begin() // the lease has ended before its grant arrived here
		return true
	}
	return waitedOut(err)
}

// pauseAfter returns how long to pause after an answer that is no grant. A place in the queue is
// kept for ten seconds, so pauses are short.
func (q *queueing) pauseAfter(a answer) time.Duration {
	e, refused := errors.AsType[*Error](a.err)
	if !refused || e.Code == "" || e.Code == api.CodeHeld {
		q.learn(a.took)
	}
	d := q.backoff(a.took)
	if !errors.Is(a.err, ErrHeld) {
		d = max(d, retryAfter(a.err))
	}
	d = min(d, q.left())
	q.report(a.err, d)
	return d
}

// learn makes the next requests wait for less than the time after which this one was cut off, by a
// proxy or by the longest wait that the server allows. If the next one fails at once, it was not a
// proxy, but an outage.
func (q *queueing) learn(took time.Duration) {
	const least = 500 * time.Millisecond
	if took < least {
		q.slice = q.sliceBefore
		return
	}
	q.sliceBefore = q.slice
	q.slice = min(q.slice, took*4/5)
}

// backoff is the pause after a failure: none after a request that took a while, else it grows with
// the number of failures.
func (q *queueing) backoff(took time.Duration) time.Duration {
	const long = time.Second
	if took >= long {
		q.failures = 0
		return 0
	}
	q.failures++
	return backoff(q.failures - 1)
}

// retryAfter is how long an answer asks to wait, as far as that is obeyed: for a minute after too
// many requests, else for five seconds. 0: it does not ask.
func retryAfter(err error) time.Duration {
	e, refused := errors.AsType[*Error](err)
	switch {
	case !refused:
		return 0
	case e.Status == http.StatusTooManyRequests:
		return min(e.retryAfter(), time.Minute)
	}
	return min(e.retryAfter(), 5*time.Second)
}

// waitedOut reports whether a later request may do better than one with this error.
func waitedOut(err error) bool {
	if down, is := errors.AsType[*UnreachableError](err); is {
		return !down.Untrusted()
	}
	e, is := errors.AsType[*Error](err)
	if !is {
		return false
	}
	switch e.Code {
	case api.CodeHeld, api.CodeNotHeld, api.CodeSuperseded:
		return true
	case api.CodeAttemptOver:
		return false
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// giveUp is the end of the wait. If an answer was lost, it is asked for once more, and may be a
// grant.
func (q *queueing) giveUp(ctx context.Context, err error) (answer, error) {
	granted := q.stop()
	if granted == nil && q.unsure {
		granted, err = q.resolve(ctx, err)
	}
	if granted != nil {
		return *granted, nil
	}
	if ctx.Err() != nil {
		return answer{}, q.gaveUp(ctx)
	}
	return answer{}, err
}

// leave gives up the place in the queue, and the lease if there is one, because ctx has ended. A
// proxy may not have passed on that the client has left, so the place is taken by a request that
// does not wait.
func (q *queueing) leave(ctx context.Context) (answer, error) {
	granted := q.stop()
	if granted == nil && q.unsure {
		granted, _ = q.resolve(ctx, nil)
	}
	if granted != nil {
		q.giveBack(ctx, granted.grant.LeaseID)
	}
	return answer{}, q.gaveUp(ctx)
}

// gaveUp is the error after the end of ctx.
func (q *queueing) gaveUp(ctx context.Context) error {
	cause := context.Cause(ctx)
	if q.last == nil {
		return fmt.Errorf("gave up acquiring %s: %w", q.name, cause)
	}
	return fmt.Errorf("gave up acquiring %s: %w; last: %w", q.name, cause, q.last)
}

// resolve asks, without waiting, until it is known what became of an attempt. It returns its
// grant, or the last error.
func (q *queueing) resolve(ctx context.Context, err error) (*answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	for {
		a := q.exchange(ctx, q.request(0), leaving)
		if a.err == nil {
			return &a, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		err = a.err
		if !waitedOut(err) || errors.Is(err, ErrHeld) || !pause(ctx, 200*time.Millisecond) {
			return nil, err
		}
	}
}

// giveBack releases a lease that nobody will use.
func (q *queueing) giveBack(ctx context.Context, leaseID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	_ = q.c.releaseSurely(ctx, q.name, leaseID) // else it ends after the confirm time
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

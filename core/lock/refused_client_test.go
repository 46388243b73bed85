package lock

import (
	"fmt"
	"time"
)

// refusedClient makes one request at a time in a [refusedWorld].
type refusedClient struct {
	world   *refusedWorld
	id      int
	account string

	// The request it waits for an answer to.
	request  *Command // nil: none
	unread   []Reply
	called   bool // it has read a call and not said yes or no yet
	waitOver bool
	gone     bool

	got   *Lease // what it believes to hold
	until time.Time
}

// askState is how far the request of a client has come.
type askState int

const (
	stillAsks askState = iota
	hasAnswer
	hasGivenUp
)

// keyedTry is an attempt with a key, as it was made.
type keyedTry struct {
	account string
	name    Name
	key     string
	ttl     time.Duration
	confirm time.Duration // zero: the lease needs no confirmation
}

// act does one thing at random, if it is possible now.
func (c *refusedClient) act() {
	w := c.world
	waits := c.request != nil
	switch n := w.rng.IntN(20); {
	case n < 4:
		c.read()
	case waits && n < 6 && !c.waitOver:
		c.waitOver = true
		c.leave(WaitOver, nil)
	case waits && n < 8 && !c.gone:
		c.gone = true
		c.leave(HungUp, nil)
	case waits && c.called && n < 15:
		c.answerCall()
	case waits && n == 19 && w.oneIn(10) && (c.waitOver || c.gone):
		c.giveUp()
	case !waits && n < 15:
		c.acquire()
	case n < 17 && c.got != nil:
		c.renew()
	case n < 18 && c.got != nil:
		c.release()
	case n == 18 && w.oneIn(3):
		w.breakLease()
	}
}

// receive puts a message where the client finds it. There is room for a call and an answer.
func (c *refusedClient) receive(r Reply) {
	if c.unread = append(c.unread, r); len(c.unread) > 2 {
		c.world.wrong("client %d gets %d messages unread: the loop would block", c.id, len(c.unread))
	}
}

func (c *refusedClient) readAll() {
	for len(c.unread) > 0 {
		c.read()
	}
}

// read takes one message.
func (c *refusedClient) read() {
	if len(c.unread) == 0 {
		return
	}
	r := c.unread[0]
	c.unread = c.unread[1:]
	if r.Turn != nil {
		c.called = true
		return
	}
	w := c.world
	w.say("client %d is told %v", c.id, toldWhat(r))
	delete(w.asked, c.request)
	c.request, c.called, c.unread = nil, false, nil
	switch {
	case r.Lease == nil || !w.now.Before(r.Lease.ExpiresAt):
		return // nothing, or too late
	case c.gone || w.oneIn(3):
		w.say("client %d undoes", c.id)
		w.undo(r)
		return
	case w.ended[r.Lease.Token]:
		return // the client was told that the lease is over
	}
	c.begin(r.Lease)
}

func toldWhat(r Reply) string {
	if r.Lease == nil {
		return fmt.Sprint(r.Err)
	}
	return fmt.Sprintf("token %d of %s", r.Lease.Token, r.Lease.Name)
}

// begin believes in a lease. No other client may then believe in another lease of that lock.
func (c *refusedClient) begin(l *Lease) {
	for _, other := range c.world.clients {
		if h := other.got; other != c && h != nil && h.Name == l.Name && h.Token != l.Token && c.world.now.Before(other.until) {
			c.world.wrong("client %d has token %d of %s while client %d has token %d", c.id, l.Token, l.Name, other.id, h.Token)
		}
	}
	c.got, c.until = l, l.ExpiresAt
}

func (c *refusedClient) leave(why LeaveReason, cause error) {
	c.world.say("client %d leaves: %s", c.id, [...]string{WaitOver: "its wait is over", HungUp: "it hangs up", Declined: "a policy says no"}[why])
	c.world.left = append(c.world.left, Departure{Command: c.request, Why: why, Cause: cause})
}

func (c *refusedClient) answerCall() {
	if c.world.oneIn(4) {
		c.called = false
		c.leave(Declined, errDeclined)
		return
	}
	c.claim()
}

func (c *refusedClient) claim() {
	c.called = false
	if c.request == nil {
		return
	}
	c.world.say("client %d claims", c.id)
	c.world.put(&Command{Verb: DoClaim, Name: c.request.Name, Called: c.request})
}

// giveUp stops waiting for an answer, as if the disk hung.
func (c *refusedClient) giveUp() {
	if c.world.states[c.request] == stillAsks {
		c.world.states[c.request] = hasGivenUp
		c.world.say("client %d gives up", c.id)
		c.request, c.unread, c.called = nil, nil, false
	}
}

// acquire asks for a lock: half the time by an attempt that was made before, if it can.
func (c *refusedClient) acquire() {
	w := c.world
	try, again := c.earlier()
	if !again {
		try = keyedTry{account: c.account, name: w.name(), ttl: time.Duration(1+w.rng.IntN(8)) * time.Second}
		if w.oneIn(3) {
			try.confirm = min(try.ttl, 2*time.Second)
		}
		if w.oneIn(2) {
			try.key = fmt.Sprintf("key-%012d", len(w.tries))
			w.tries = append(w.tries, try)
		}
	}
	request := newCommand(DoAcquire, try.name, Origin{Actor: Actor{Account: c.account}})
	a := &Acquisition{Origin: request.Origin, Name: try.name, Holder: fmt.Sprint(c.id), TTL: try.ttl, ConfirmWithin: try.confirm}
	if !w.oneIn(4) {
		a.Wait = time.Minute
	}
	if try.key != "" {
		a.Attempt, _ = NewAttempt(try.key, try.ttl, try.confirm, "", nil)
		request.OnlyRepeat = w.oneIn(10)
	}
	request.Rechecks = w.oneIn(2)
	if w.priorities {
		a.Priority = pick(w, Front, Normal, Back)
	}
	request.Acquire = a
	c.request, c.unread = request, nil
	c.waitOver, c.gone, c.called = false, false, false
	w.asked[request] = c
	w.say("client %d acquires %s ttl %s wait %s key %q", c.id, try.name, try.ttl, a.Wait, try.key)
	w.put(request)
}

// earlier returns one of the last attempts of the same account, now and then with another
// ttl, which is a mistake.
func (c *refusedClient) earlier() (try keyedTry, ok bool) {
	w := c.world
	if len(w.tries) == 0 || w.oneIn(2) {
		return keyedTry{}, false
	}
	try = w.tries[max(0, len(w.tries)-1-w.rng.IntN(4))]
	if w.oneIn(20) {
		try.ttl += time.Second
	}
	return try, try.account == c.account
}

// renew asks for more time, or policies refuse that, and the table only learns that the
// client has its lease.
func (c *refusedClient) renew() {
	w := c.world
	request := newCommand(DoRenew, c.got.Name, Origin{Actor: Actor{Account: c.account}})
	request.Token = c.got.Token
	if w.oneIn(8) {
		request.Verb = DoReceived
		w.put(request)
		return
	}
	request.OnlyConfirm = w.oneIn(4)
	if w.oneIn(2) {
		request.TTL = time.Duration(1+w.rng.IntN(20)) * time.Second
	}
	w.others[request] = "renew"
	w.put(request)
}

// release gives back the lease, also in the name of others who got it by the same key.
func (c *refusedClient) release() {
	w := c.world
	request := newCommand(DoRelease, c.got.Name, Origin{Actor: Actor{Account: c.account}})
	request.Token = c.got.Token
	w.say("client %d releases %s", c.id, c.got.Name)
	if try, again := c.earlier(); again && w.oneIn(2) { // perhaps that of another lock, or one without a lease
		request.Name, request.Token = try.name, 0
		request.Acquire = &Acquisition{Origin: request.Origin}
		request.Acquire.Attempt, _ = NewAttempt(try.key, try.ttl, try.confirm, "", nil)
	}
	w.tellEnd(w.meant(request))
	w.others[request] = "release"
	w.put(request)
}

// meant returns the token of the live lease that a release means, or 0.
func (w *refusedWorld) meant(release *Command) Token {
	if release.Acquire == nil {
		return release.Token
	}
	if e := w.m.entries[release.Name]; e != nil && e.held != nil && e.held.is(release) {
		return e.held.token
	}
	return 0
}

// breakLease breaks a lock, half the time in order to take it.
func (w *refusedWorld) breakLease() {
	name := w.name()
	request := newCommand(DoBreak, name, Origin{Actor: Actor{Account: "ops"}})
	what := "break"
	if w.oneIn(2) {
		what = "take"
		request.Acquire = &Acquisition{Origin: request.Origin, Name: name, TTL: 3 * time.Second}
	}
	w.say("%s %s", what, name)
	w.others[request] = what
	w.put(request)
}

func (w *refusedWorld) name() Name { return pick[Name](w, "x", "x", "y", "z") }

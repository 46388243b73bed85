package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// key returns the header that makes requests one attempt.
func key(n int) string { return fmt.Sprintf("%s: an-attempt-of-its-own-%04d", api.HeaderKey, n) }

func TestARepeatedWaitIsOneWait(t *testing.T) {
	p := newProcess(t, t.TempDir())
	held := take(t, p, "a", "?ttl=1h")
	attempts := []*caller{waits(t, p, "a", "&ttl=1h", 1, key(1))}
	for n := range 5 { // its answer does not come, so it is sent again
		again := waits(t, p, "a", "&ttl=1h", 1, key(1))
		expect(t, attempts[n].receive(patient), 409, `"superseded"`)
		attempts = append(attempts, again)
	}
	expect(t, release(p, held), 200, "")
	g := granted(t, attempts[5].receive(patient))
	expect(t, release(p, g), 200, "")
	if l := look(p, "a"); l.State != api.Free || l.WaitersTotal != 0 {
		t.Errorf("after it was given back: %+v", l)
	}
	expect(t, attempts[5].ask("/v1/locks/a/acquire?wait=5m&ttl=1h", key(1)), 409, `"attempt_over"`)
}

// A client that cannot wait for long asks again and again with its key. It is first in
// line all the time, and is served first.
func TestAskingAgainKeepsThePlace(t *testing.T) {
	p := newProcess(t, t.TempDir())
	held := take(t, p, "a", "?ttl=1h")
	first := waits(t, p, "a", "&ttl=1h", 1, key(1))
	second := waits(t, p, "a", "&ttl=1h", 2)
	for range 5 {
		again := newCaller(t, p.Addr)
		expect(t, again.ask("/v1/locks/a/acquire?wait=50ms&ttl=1h", key(1)), 409, `"held"`)
	}
	expect(t, first.receive(patient), 409, `"superseded"`)
	answers := make(chan answer, 2)
	for range cap(answers) { // when one is superseded, the other listens
		last := newCaller(t, p.Addr)
		go func() { answers <- last.ask("/v1/locks/a/acquire?wait=5m&ttl=1h", key(1)) }()
	}
	expect(t, <-answers, 409, `"superseded"`)
	expect(t, release(p, held), 200, "")
	g := granted(t, <-answers)
	expect(t, release(p, g), 200, "")
	if next := granted(t, second.receive(patient)); next.FencingToken <= g.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, g.FencingToken)
	}
}

func TestWhoHungUpIsNotGranted(t *testing.T) {
	p := newProcess(t, t.TempDir())
	held := take(t, p, "a", "?ttl=1h")
	gone := []*caller{waits(t, p, "a", "&ttl=1h", 1), waits(t, p, "a", "&ttl=1h", 2)}
	stays := waits(t, p, "a", "&ttl=1h", 3)
	for _, c := range gone {
		c.reset()
	}
	waitUntil(t, "they have left", func() bool { return look(p, "a").WaitersTotal == 1 })
	expect(t, release(p, held), 200, "")
	expect(t, release(p, granted(t, stays.receive(patient))), 200, "")
	if l := look(p, "a"); l.State != api.Free || l.WaitersTotal != 0 {
		t.Errorf("after it was given back: %+v", l)
	}
}

// Others come, run out of time and hang up, before and behind somebody who waits. He
// is answered when it is his turn, and not before.
func TestWhoWaitsIsNotPutOut(t *testing.T) {
	p := newProcess(t, t.TempDir())
	held := take(t, p, "a", "?ttl=1h")
	before := waits(t, p, "a", "&ttl=1h", 1)
	stays := waits(t, p, "a", "&ttl=1h&holder=stays", 2)
	before.reset()
	for n := range 20 {
		expect(t, newCaller(t, p.Addr).ask("/v1/locks/a/acquire?wait=20ms"), 409, `"held"`)
		c := newCaller(t, p.Addr)
		if err := c.post("/v1/locks/a/acquire?wait=5m", key(n)); err != nil {
			t.Fatal(err)
		}
		c.reset()
	}
	waitUntil(t, "it is first in line", func() bool {
		l := look(p, "a")
		return len(l.Waiters) > 0 && l.Waiters[0].Holder == "stays"
	})
	expect(t, release(p, held), 200, "")
	granted(t, stays.receive(patient))
}

// The lease of a holder has ended, and another has the lock. Whatever the old one asks
// for is refused, and does nothing to the new one.
func TestAnOldHolderIsRefused(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := newProcess(t, t.TempDir())
	old := take(t, p, "a", "?ttl=1s")
	next := take(t, p, "a", "?ttl=1h&wait=30s")
	expect(t, renew(p, old), 409, `"not_held"`)
	expect(t, release(p, old), 409, `"not_held"`)
	if next.FencingToken <= old.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, old.FencingToken)
	}
	if l := look(p, "a"); l.Lease == nil || l.Lease.FencingToken != next.FencingToken {
		t.Errorf("got %+v, want token %d", l, next.FencingToken)
	}
	expect(t, renew(p, next), 200, "")
}

func TestALeaseBeginsAtTheGrant(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := newProcess(t, t.TempDir())
	take(t, p, "a", "?ttl=6s")
	waiter := waits(t, p, "a", "&ttl=2s", 1)
	g := granted(t, waiter.receive(patient))
	if g.WaitedMS < 2000 {
		t.Fatalf("waited %d ms, which shows nothing", g.WaitedMS)
	}
	if g.ExpiresInMS < 1 {
		t.Errorf("after waiting for longer than its ttl of 2 s, %d ms are left", g.ExpiresInMS)
	}
}

func TestAnAttemptWhoseLeaseIsOverIsToldSo(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := newProcess(t, t.TempDir())
	c := newCaller(t, p.Addr)
	g := granted(t, c.ask("/v1/locks/a/acquire?ttl=4s", key(1)))
	expect(t, c.ask("/v1/locks/a/acquire?ttl=4s", key(1)), 200, g.LeaseID)
	waitUntil(t, "the lease is over", func() bool { return look(p, "a").State == api.Free })
	expect(t, c.ask("/v1/locks/a/acquire?ttl=4s", key(1)), 409, `"attempt_over"`)
}

func TestWhoHangsUpMakesRoomInTheQueue(t *testing.T) {
	p := newProcess(t, t.TempDir(), "OCTOSTORE_MAX_WAITERS_PER_LOCK=3")
	take(t, p, "a", "?ttl=1h")
	waits(t, p, "a", "", 1)
	gone := waits(t, p, "a", "", 2)
	last := waits(t, p, "a", "", 3)
	for range 20 {
		expect(t, call("POST", p.Addr, "/v1/locks/a/acquire?wait=5m"), 429, `"queue_full"`)
		gone.reset()
		waitUntil(t, "it has left", func() bool { return look(p, "a").WaitersTotal == 2 })
		gone, last = last, waits(t, p, "a", "", 3)
	}
}

// The first in line has lost its connection; its key keeps its place for a while. The
// lock is not kept for it meanwhile.
func TestADeadHeadHoldsNobodyUp(t *testing.T) {
	p := newProcess(t, t.TempDir())
	held := take(t, p, "a", "?ttl=1h")
	head := waits(t, p, "a", "&ttl=1h", 1, key(1))
	second := waits(t, p, "a", "&ttl=1h", 2)
	third := waits(t, p, "a", "&ttl=1h", 3)
	head.reset()
	waitUntil(t, "the server knows", func() bool {
		return metricSum(p, `octostore_http_requests_total{code="gone"`) == 1
	})

	freed := time.Now()
	expect(t, release(p, held), 200, "")
	got := second.receive(patient)
	if took := got.after.Sub(freed); took > promptly {
		t.Errorf("the second waited %s for the dead head", took)
	}
	expect(t, release(p, granted(t, got)), 200, "")
	granted(t, third.receive(patient))
}

// metricSum adds up the numbers of /metrics whose lines begin like this.
func metricSum(p *process, prefix string) (sum float64) {
	for line := range strings.Lines(call("GET", p.Addr, "/metrics").body) {
		if strings.HasPrefix(line, prefix) {
			var n float64
			_, _ = fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n) // not a number: 0
			sum += n
		}
	}
	return sum
}

// Nobody releases, nobody asks, nobody polls: the end of a lease alone serves the next.
func TestAnExpiryWakesTheNextByItself(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := newProcess(t, t.TempDir())
	c := newCaller(t, p.Addr)
	sent := time.Now()
	first := granted(t, c.ask("/v1/locks/a/acquire?ttl=4s"))
	second, third := waits(t, p, "a", "&ttl=1s", 1), waits(t, p, "a", "&ttl=1s", 2)
	for n, w := range []*caller{second, third} {
		got := w.receive(patient)
		g := granted(t, got)
		least := time.Duration(n+4) * time.Second
		if took := got.after.Sub(sent); took < least || took > least+promptly {
			t.Errorf("waiter %d had it after %s, want %s", n+1, took, least)
		}
		if g.FencingToken <= first.FencingToken {
			t.Errorf("token %d after %d", g.FencingToken, first.FencingToken)
		}
		first = g
	}
}

func TestNoLeaseIsWithoutAnEnd(t *testing.T) {
	p := newProcess(t, t.TempDir())
	g := take(t, p, "held", "?ttl=1s")
	for _, ttl := range []string{"0", "0s", "-1", "-1s", "-0", "1ns", "999ms", "9223372036854775807", "2562047h", "1e300", "Inf", "NaN", "null", ""} {
		expect(t, call("POST", p.Addr, "/v1/locks/a/acquire?ttl="+ttl), 400, `"ttl"`)
		expect(t, call("POST", p.Addr, "/v1/locks/held/renew?lease_id="+g.LeaseID+"&ttl="+ttl), 400, `"ttl"`)
	}
	waitUntil(t, "the one there was is over", func() bool { return look(p, "held").State == api.Free })
	if l := look(p, "a"); l.State != api.Free {
		t.Errorf("got %+v", l)
	}
}

// While the lock changes hands again and again, others try without waiting. They never
// get it before those who stand in line, whatever they ask for.
func TestTriesDoNotPassWaiters(t *testing.T) {
	const waiters = 30
	p := newProcess(t, t.TempDir())
	held := take(t, p, "a", "?ttl=1h")
	var line []*caller
	for n := range waiters {
		line = append(line, waits(t, p, "a", fmt.Sprintf("&ttl=1h&holder=w%d", n), n+1))
	}
	expect(t, call("POST", p.Addr, "/v1/locks/a/acquire?barge=true"), 400, `"barge"`)
	stop := make(chan struct{})
	tried := make(chan error, 4)
	for range cap(tried) {
		go func() { tried <- tryUntil(p, stop) }()
	}
	for n, c := range line {
		expect(t, release(p, held), 200, "")
		got := c.receive(patient)
		if held = granted(t, got); held.Holder != fmt.Sprintf("w%d", n) {
			t.Errorf("turn %d went to %s", n, held.Holder)
		}
	}
	close(stop)
	for range cap(tried) {
		if err := <-tried; err != nil {
			t.Error(err)
		}
	}
}

// tryUntil asks for a lock without waiting, over and over. It must not get it.
func tryUntil(p *process, stop <-chan struct{}) error {
	c, err := dialCaller(p.Addr)
	if err != nil {
		return err
	}
	defer c.reset()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if got := c.ask("/v1/locks/a/acquire?holder=try"); got.status != 409 {
			return fmt.Errorf("try %d: %d %s %v", n, got.status, got.body, got.err)
		}
	}
}

// The head of the line dies in the very moment of its turn. Either the server sees it
// and the next has the lock at once, or the answer was on its way already, and the next
// has it after that one lease of a second. Nobody waits for ever.
func TestDyingAtTheTurnCostsOneLeaseAtMost(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	p := newProcess(t, t.TempDir())
	atOnce := 0
	for n := range rounds {
		name := fmt.Sprintf("a/%d", n)
		held := take(t, p, name, "?ttl=1h")
		dying := waits(t, p, name, "&ttl=1s", 1)
		next := waits(t, p, name, "&ttl=1h", 2)
		freed := make(chan answer, 1)
		go func() { freed <- release(p, held) }()
		dying.reset()
		expect(t, <-freed, 200, "")
		got := next.receive(patient)
		g := granted(t, got)
		if g.FencingToken <= held.FencingToken {
			t.Errorf("token %d after %d", g.FencingToken, held.FencingToken)
		}
		if g.WaitedMS < 900 {
			atOnce++
		}
		if l := look(p, name); l.WaitersTotal != 0 {
			t.Errorf("%d wait", l.WaitersTotal)
		}
	}
	t.Logf("in %d of %d rounds the next had it at once", atOnce, rounds)
}

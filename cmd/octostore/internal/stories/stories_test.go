package stories_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// key returns the header that makes requests one attempt.
func key(n int) string { return fmt.Sprintf("%s: an-attempt-of-its-own-%04d", api.HeaderKey, n) }

func TestWaitRepeatedWithItsKeyIsOneWait(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	attempts := []*octotest.Caller{p.Enqueue(t, "a", "&ttl=1h", 1, key(1))}
	for n := range 5 { // its answer does not come, so it is sent again
		again := p.Enqueue(t, "a", "&ttl=1h", 1, key(1))
		octotest.Expect(t, attempts[n].Receive(octotest.Patient), 409, `"superseded"`)
		attempts = append(attempts, again)
	}
	octotest.Expect(t, p.Release(held), 200, "")
	g := octotest.Granted(t, attempts[5].Receive(octotest.Patient))
	octotest.Expect(t, p.Release(g), 200, "")
	if l := p.Look("a"); l.State != api.Free || l.WaitersTotal != 0 {
		t.Errorf("after it was given back: %+v", l)
	}
	octotest.Expect(t, attempts[5].Ask("/v1/locks/a/acquire?wait=5m&ttl=1h", key(1)), 409, `"attempt_over"`)
}

// A client that cannot wait for long asks again and again with its key. It is first in
// line all the time, and is served first.
func TestQueueKeepsThePlaceOfARepeatedRequest(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	first := p.Enqueue(t, "a", "&ttl=1h", 1, key(1))
	second := p.Enqueue(t, "a", "&ttl=1h", 2)
	for range 5 {
		again := octotest.NewCaller(t, p.Addr)
		octotest.Expect(t, again.Ask("/v1/locks/a/acquire?wait=50ms&ttl=1h", key(1)), 409, `"held"`)
	}
	octotest.Expect(t, first.Receive(octotest.Patient), 409, `"superseded"`)
	answers := make(chan octotest.Answer, 2)
	for range cap(answers) { // when one is superseded, the other listens
		last := octotest.NewCaller(t, p.Addr)
		go func() { answers <- last.Ask("/v1/locks/a/acquire?wait=5m&ttl=1h", key(1)) }()
	}
	octotest.Expect(t, <-answers, 409, `"superseded"`)
	octotest.Expect(t, p.Release(held), 200, "")
	g := octotest.Granted(t, <-answers)
	octotest.Expect(t, p.Release(g), 200, "")
	if next := octotest.Granted(t, second.Receive(octotest.Patient)); next.FencingToken <= g.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, g.FencingToken)
	}
}

func TestQueuePassesOverAClientThatHungUp(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	gone := []*octotest.Caller{p.Enqueue(t, "a", "&ttl=1h", 1), p.Enqueue(t, "a", "&ttl=1h", 2)}
	stays := p.Enqueue(t, "a", "&ttl=1h", 3)
	for _, c := range gone {
		c.Reset()
	}
	octotest.WaitUntil(t, "they have left", func() bool { return p.Look("a").WaitersTotal == 1 })
	octotest.Expect(t, p.Release(held), 200, "")
	octotest.Expect(t, p.Release(octotest.Granted(t, stays.Receive(octotest.Patient))), 200, "")
	if l := p.Look("a"); l.State != api.Free || l.WaitersTotal != 0 {
		t.Errorf("after it was given back: %+v", l)
	}
}

// Other clients come, run out of time and hang up, before and behind one that waits. It is
// answered when its turn comes, and not before.
func TestQueueKeepsWaitersWhileOthersLeave(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	before := p.Enqueue(t, "a", "&ttl=1h", 1)
	stays := p.Enqueue(t, "a", "&ttl=1h&holder=stays", 2)
	before.Reset()
	for n := range 20 {
		octotest.Expect(t, octotest.NewCaller(t, p.Addr).Ask("/v1/locks/a/acquire?wait=20ms"), 409, `"held"`)
		c := octotest.NewCaller(t, p.Addr)
		if err := c.Post("/v1/locks/a/acquire?wait=5m", key(n)); err != nil {
			t.Fatal(err)
		}
		c.Reset()
	}
	octotest.WaitUntil(t, "it is first in line", func() bool {
		l := p.Look("a")
		return len(l.Waiters) > 0 && l.Waiters[0].Holder == "stays"
	})
	octotest.Expect(t, p.Release(held), 200, "")
	octotest.Granted(t, stays.Receive(octotest.Patient))
}

// The lease of a holder has ended, and another has the lock. Whatever the old one asks
// for is refused, and does nothing to the new one.
func TestOldHolderIsRefused(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	old := p.Take(t, "a", "?ttl=1s")
	next := p.Take(t, "a", "?ttl=1h&wait=30s")
	octotest.Expect(t, p.Renew(old), 409, `"not_held"`)
	octotest.Expect(t, p.Release(old), 409, `"not_held"`)
	if next.FencingToken <= old.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, old.FencingToken)
	}
	if l := p.Look("a"); l.Lease == nil || l.Lease.FencingToken != next.FencingToken {
		t.Errorf("got %+v, want token %d", l, next.FencingToken)
	}
	octotest.Expect(t, p.Renew(next), 200, "")
}

func TestLeaseBeginsAtTheGrant(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "a", "?ttl=6s")
	waiter := p.Enqueue(t, "a", "&ttl=2s", 1)
	g := octotest.Granted(t, waiter.Receive(octotest.Patient))
	if g.WaitedMS < 2000 {
		t.Fatalf("waited %d ms, which shows nothing", g.WaitedMS)
	}
	if g.ExpiresInMS < 1 {
		t.Errorf("after waiting for longer than its ttl of 2 s, %d ms are left", g.ExpiresInMS)
	}
}

func TestAttemptWhoseLeaseIsOverIsToldSo(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	c := octotest.NewCaller(t, p.Addr)
	g := octotest.Granted(t, c.Ask("/v1/locks/a/acquire?ttl=4s", key(1)))
	octotest.Expect(t, c.Ask("/v1/locks/a/acquire?ttl=4s", key(1)), 200, g.LeaseID)
	octotest.WaitUntil(t, "the lease is over", func() bool { return p.Look("a").State == api.Free })
	octotest.Expect(t, c.Ask("/v1/locks/a/acquire?ttl=4s", key(1)), 409, `"attempt_over"`)
}

func TestQueueHasRoomAfterAHangUp(t *testing.T) {
	p := octotest.Start(t, t.TempDir(), "OCTOSTORE_MAX_WAITERS_PER_LOCK=3")
	p.Take(t, "a", "?ttl=1h")
	p.Enqueue(t, "a", "", 1)
	gone := p.Enqueue(t, "a", "", 2)
	last := p.Enqueue(t, "a", "", 3)
	for range 20 {
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/acquire?wait=5m"), 429, `"queue_full"`)
		gone.Reset()
		octotest.WaitUntil(t, "it has left", func() bool { return p.Look("a").WaitersTotal == 2 })
		gone, last = last, p.Enqueue(t, "a", "", 3)
	}
}

// The first waiter has lost its connection, and its key keeps its place for a while. The
// lock is not kept for it meanwhile.
func TestQueueGoesOnBehindADeadHead(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	head := p.Enqueue(t, "a", "&ttl=1h", 1, key(1))
	second := p.Enqueue(t, "a", "&ttl=1h", 2)
	third := p.Enqueue(t, "a", "&ttl=1h", 3)
	head.Reset()
	octotest.WaitUntil(t, "the server knows", func() bool {
		return metricSum(p, `octostore_http_requests_total{code="gone"`) == 1
	})

	freed := time.Now()
	octotest.Expect(t, p.Release(held), 200, "")
	got := second.Receive(octotest.Patient)
	if took := got.After.Sub(freed); took > octotest.Promptly {
		t.Errorf("the second waited %s for the dead head", took)
	}
	octotest.Expect(t, p.Release(octotest.Granted(t, got)), 200, "")
	octotest.Granted(t, third.Receive(octotest.Patient))
}

// metricSum adds up the numbers of /metrics whose lines begin like this.
func metricSum(p *octotest.Server, prefix string) (sum float64) {
	for line := range strings.Lines(octotest.Call("GET", p.Addr, "/metrics").Body) {
		if strings.HasPrefix(line, prefix) {
			var n float64
			_, _ = fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n) // not a number: 0
			sum += n
		}
	}
	return sum
}

// Without a release, a request or a poll, the end of a lease alone serves the next waiter.
func TestExpiryWakesTheNextWaiter(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	c := octotest.NewCaller(t, p.Addr)
	sent := time.Now()
	first := octotest.Granted(t, c.Ask("/v1/locks/a/acquire?ttl=4s"))
	second, third := p.Enqueue(t, "a", "&ttl=1s", 1), p.Enqueue(t, "a", "&ttl=1s", 2)
	for n, w := range []*octotest.Caller{second, third} {
		got := w.Receive(octotest.Patient)
		g := octotest.Granted(t, got)
		least := time.Duration(n+4) * time.Second
		if took := got.After.Sub(sent); took < least || took > least+octotest.Promptly {
			t.Errorf("waiter %d had it after %s, want %s", n+1, took, least)
		}
		if g.FencingToken <= first.FencingToken {
			t.Errorf("token %d after %d", g.FencingToken, first.FencingToken)
		}
		first = g
	}
}

func TestLeaseAlwaysHasAnEnd(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	g := p.Take(t, "held", "?ttl=1s")
	for _, ttl := range []string{"0", "0s", "-1", "-1s", "-0", "1ns", "999ms", "9223372036854775807", "2562047h", "1e300", "Inf", "NaN", "null", ""} {
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/acquire?ttl="+ttl), 400, `"ttl"`)
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/held/renew?lease_id="+g.LeaseID+"&ttl="+ttl), 400, `"ttl"`)
	}
	octotest.WaitUntil(t, "the one there was is over", func() bool { return p.Look("held").State == api.Free })
	if l := p.Look("a"); l.State != api.Free {
		t.Errorf("got %+v", l)
	}
}

// While the lock changes hands again and again, others try without waiting. They never
// get it before the waiters, whatever they ask for.
func TestQueueIsNotOvertakenByTries(t *testing.T) {
	const waiters = 30
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	var line []*octotest.Caller
	for n := range waiters {
		line = append(line, p.Enqueue(t, "a", fmt.Sprintf("&ttl=1h&holder=w%d", n), n+1))
	}
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/acquire?barge=true"), 400, `"barge"`)
	stop := make(chan struct{})
	tried := make(chan error, 4)
	for range cap(tried) {
		go func() { tried <- tryUntil(p, stop) }()
	}
	for n, c := range line {
		octotest.Expect(t, p.Release(held), 200, "")
		got := c.Receive(octotest.Patient)
		if held = octotest.Granted(t, got); held.Holder != fmt.Sprintf("w%d", n) {
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
func tryUntil(p *octotest.Server, stop <-chan struct{}) error {
	c, err := octotest.Dial(p.Addr)
	if err != nil {
		return err
	}
	defer c.Reset()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if got := c.Ask("/v1/locks/a/acquire?holder=try"); got.Status != 409 {
			return fmt.Errorf("try %d: %d %s %w", n, got.Status, got.Body, got.Err)
		}
	}
}

// The head of the line dies in the very moment of its turn. Either the server sees it
// and the next has the lock at once, or the answer was on its way already, and the next
// has it after that one lease of a second. No waiter waits for ever.
func TestWaiterThatDiesAtTheFrontCostsOneLeaseAtMost(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	p := octotest.Start(t, t.TempDir())
	atOnce := 0
	for n := range rounds {
		name := fmt.Sprintf("a/%d", n)
		held := p.Take(t, name, "?ttl=1h")
		dying := p.Enqueue(t, name, "&ttl=1s", 1)
		next := p.Enqueue(t, name, "&ttl=1h", 2)
		freed := make(chan octotest.Answer, 1)
		go func() { freed <- p.Release(held) }()
		dying.Reset()
		octotest.Expect(t, <-freed, 200, "")
		got := next.Receive(octotest.Patient)
		g := octotest.Granted(t, got)
		if g.FencingToken <= held.FencingToken {
			t.Errorf("token %d after %d", g.FencingToken, held.FencingToken)
		}
		if g.WaitedMS < 900 {
			atOnce++
		}
		if l := p.Look(name); l.WaitersTotal != 0 {
			t.Errorf("%d wait", l.WaitersTotal)
		}
	}
	t.Logf("in %d of %d rounds the next had it at once", atOnce, rounds)
}

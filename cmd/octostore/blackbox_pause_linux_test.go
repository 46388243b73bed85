package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// pauseFor stops the process as a whole, as a suspended laptop or a starved virtual
// machine would, and lets it go on after a while.
func pauseFor(t *testing.T, p *process, d time.Duration) {
	t.Helper()
	if err := p.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the process stands still", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		return err == nil && strings.Contains(strings.ToUpper(string(stat)), ") T ") // t: under a tracer
	})
	time.Sleep(d) // what is tested is that so much time passes
	if err := p.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// A lease lapses while the server stands still, with its holder's renewal already on
// the wire. Afterwards the holder is told that the lease is over, whatever it asks,
// and the waiter has the lock with a greater token.
func TestALeaseThatLapsedDuringAPauseIsOver(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := newProcess(t, t.TempDir())
	old := take(t, p, "a", "?ttl=3s")
	lease := api.HeaderLease + ": " + old.LeaseID
	first := waits(t, p, "a", "&ttl=60s", 1)
	second := waits(t, p, "a", "&ttl=60s", 2)
	renewing, releasing := newCaller(t, p.Addr), newCaller(t, p.Addr)
	for _, c := range []*caller{renewing, releasing} {
		// A connection that has never said anything would be closed after the pause.
		expect(t, c.ask("/v1/locks/b/release", lease), 409, `"not_held"`)
	}

	during := make(chan error, 2)
	go func() {
		time.Sleep(3500 * time.Millisecond) // after the end of the lease, before that of the pause
		during <- renewing.post("/v1/locks/a/renew", lease)
		during <- releasing.post("/v1/locks/a/release", lease)
	}()
	pauseFor(t, p, 4*time.Second) // less than a server waits for the headers of a connection
	for range 2 {
		if err := <-during; err != nil {
			t.Fatal(err)
		}
	}

	expect(t, renewing.receive(patient), 409, `"not_held"`)
	expect(t, releasing.receive(patient), 409, `"not_held"`)
	next := granted(t, first.receive(patient))
	if next.FencingToken <= old.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, old.FencingToken)
	}
	if left := next.ExpiresInMS; left < 50_000 {
		t.Errorf("the waiter's lease has %d ms left of 60 s: the pause was counted against it", left)
	}
	expect(t, renew(p, old), 409, `"not_held"`)
	expect(t, release(p, old), 409, `"not_held"`)
	expect(t, renew(p, next), 200, "")
	if l := look(p, "a"); l.Lease == nil || l.Lease.FencingToken != next.FencingToken || l.WaitersTotal != 1 {
		t.Errorf("got %+v, want token %d and one who waits", l, next.FencingToken)
	}
	expect(t, release(p, next), 200, "")
	if last := granted(t, second.receive(patient)); last.FencingToken <= next.FencingToken {
		t.Errorf("token %d after %d", last.FencingToken, next.FencingToken)
	}
}

// Whatever a pause cuts in two, decision, commit or answer, nobody is led to believe
// in a lease for longer than it lasts: the safe end that a client computes from a 200
// is over before anybody else has the lock.
func TestAGrantThatAPauseHeldUpIsTooLateOrGood(t *testing.T) {
	rounds, clients := 3, 16
	if testing.Short() {
		rounds = 1
	}
	p := newProcess(t, t.TempDir())
	late := 0 // the pause has to come between a grant and its answer, and does not always
	for round := 0; round < rounds || late == 0 && round < 4*rounds && !t.Failed(); round++ {
		cut := &cutInTwo{t: t, stop: make(chan struct{})}
		var wg sync.WaitGroup
		for n := range clients {
			c := newCaller(t, p.Addr)
			wg.Go(func() { cut.acquire(c, fmt.Sprintf("r%d/c%d", round, n), 1+n%2) })
		}
		waitUntil(t, "the load is on", func() bool { return cut.asked.Load() > int64(4*clients) })
		pauseFor(t, p, 1300*time.Millisecond)
		waitUntil(t, "it goes on", func() bool { return metric(p, "octostore_serving") == 1 })
		close(cut.stop)
		wg.Wait()
		late += cut.late
		t.Logf("cut in two: %d granted, %d of them with their safe end past on arrival; %d refused", cut.good, cut.past, cut.late)
		if cut.good+cut.late == 0 {
			t.Error("no request was under way when the server stood still")
		}
	}
	expectWell(t, p)
}

// cutInTwo counts how the requests ended that were under way during a pause.
type cutInTwo struct {
	t    *testing.T
	stop chan struct{}

	asked            atomic.Int64
	mu               sync.Mutex
	late, good, past int
}

// acquire takes one fresh lock after the other until an answer takes long, which is
// when the pause was in it.
func (x *cutInTwo) acquire(c *caller, prefix string, ttl int) {
	for i := 0; ; i++ {
		select {
		case <-x.stop:
			return
		default:
		}
		name := fmt.Sprintf("%s/%d", prefix, i)
		sent := time.Now()
		x.asked.Add(1)
		got := c.ask(fmt.Sprintf("/v1/locks/%s/acquire?ttl=%ds", name, ttl))
		if got.status != 200 || got.after.Sub(sent) > time.Second {
			x.count(c, name, sent, got)
			return
		}
	}
}

func (x *cutInTwo) count(c *caller, name string, sent time.Time, got answer) {
	past := got.status == 200 && checkSafeEnd(x.t, c, name, sent, got)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case past:
		x.good++
		x.past++
	case got.status == 200:
		x.good++
	case got.status == 503 && (strings.Contains(got.body, `"too_late"`) || strings.Contains(got.body, `"outcome_unknown"`)):
		x.late++
	default:
		x.t.Errorf("%s: %d %s %v", name, got.status, got.body, got.err)
	}
}

// checkSafeEnd has the next holder come, and reports whether the client could tell
// from the answer that its lease was over already.
func checkSafeEnd(t *testing.T, c *caller, name string, sent time.Time, got answer) (past bool) {
	g := grantIn(got)
	if g.ExpiresInMS < 1 {
		t.Errorf("%s: granted with %d ms left", name, g.ExpiresInMS)
	}
	safe := sent.Add(time.Duration(g.ServerMS+g.ExpiresInMS) * time.Millisecond)
	next := c.ask("/v1/locks/" + name + "/acquire?ttl=1s&wait=10s")
	if next.status != 200 {
		t.Errorf("%s: the next is answered %d %s %v", name, next.status, next.body, next.err)
		return false
	}
	if next.after.Before(safe) {
		t.Errorf("%s: somebody else has it %s before the safe end", name, safe.Sub(next.after))
	}
	if token := grantIn(next).FencingToken; token <= g.FencingToken {
		t.Errorf("%s: token %d after %d", name, token, g.FencingToken)
	}
	return safe.Before(got.after)
}

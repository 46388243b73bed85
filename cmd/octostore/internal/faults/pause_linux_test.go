package faults_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// pauseFor stops the process as a whole, as a suspended laptop or a starved virtual
// machine would, and lets it go on after a while.
func pauseFor(t *testing.T, p *octotest.Server, d time.Duration) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the process stands still", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
		return err == nil && strings.Contains(strings.ToUpper(string(stat)), ") T ") // t: under a tracer
	})
	time.Sleep(d) // what is tested is that so much time passes
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// A lease lapses while the server stands still, with its holder's renewal already on
// the wire. Afterwards the holder is told that the lease is over, whatever it asks,
// and the waiter has the lock with a greater token.
func TestLeaseThatLapsedDuringAPauseIsOver(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	old := p.Take(t, "a", "?ttl=3s")
	lease := api.HeaderLease + ": " + old.LeaseID
	first := p.Enqueue(t, "a", "&ttl=60s", 1)
	second := p.Enqueue(t, "a", "&ttl=60s", 2)
	renewing, releasing := octotest.NewCaller(t, p.Addr), octotest.NewCaller(t, p.Addr)
	for _, c := range []*octotest.Caller{renewing, releasing} {
		// A connection that has never said anything would be closed after the pause.
		octotest.Expect(t, c.Ask("/v1/locks/b/release", lease), 409, `"not_held"`)
	}

	during := make(chan error, 2)
	go func() {
		time.Sleep(3500 * time.Millisecond) // after the end of the lease, before that of the pause
		during <- renewing.Post("/v1/locks/a/renew", lease)
		during <- releasing.Post("/v1/locks/a/release", lease)
	}()
	pauseFor(t, p, 4*time.Second) // less than a server waits for the headers of a connection
	for range 2 {
		if err := <-during; err != nil {
			t.Fatal(err)
		}
	}

	octotest.Expect(t, renewing.Receive(octotest.Patient), 409, `"not_held"`)
	octotest.Expect(t, releasing.Receive(octotest.Patient), 409, `"not_held"`)
	next := octotest.Granted(t, first.Receive(octotest.Patient))
	if next.FencingToken <= old.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, old.FencingToken)
	}
	if left := next.ExpiresInMS; left < 50_000 {
		t.Errorf("the waiter's lease has %d ms left of 60 s: the pause was counted against it", left)
	}
	octotest.Expect(t, p.Renew(old), 409, `"not_held"`)
	octotest.Expect(t, p.Release(old), 409, `"not_held"`)
	octotest.Expect(t, p.Renew(next), 200, "")
	if l := p.Look("a"); l.Lease == nil || l.Lease.FencingToken != next.FencingToken || l.WaitersTotal != 1 {
		t.Errorf("got %+v, want token %d and one who waits", l, next.FencingToken)
	}
	octotest.Expect(t, p.Release(next), 200, "")
	if last := octotest.Granted(t, second.Receive(octotest.Patient)); last.FencingToken <= next.FencingToken {
		t.Errorf("token %d after %d", last.FencingToken, next.FencingToken)
	}
}

// A pause may come in the middle of a decision, a commit or an answer. No client believes
// in a lease for longer than it lasts: the safe end that it computes from a 200 is over
// before another client has the lock.
func TestGrantHeldUpByAPauseIsTooLateOrGood(t *testing.T) {
	t.Parallel() // it waits more than it works
	rounds, clients := 3, 16
	if testing.Short() {
		rounds = 1
	}
	p := octotest.Start(t, t.TempDir())
	late := 0 // the pause has to come between a grant and its octotest.Answer, and does not always
	for round := 0; round < rounds || late == 0 && round < 4*rounds && !t.Failed(); round++ {
		cut := &cutInTwo{t: t, stop: make(chan struct{})}
		var wg sync.WaitGroup
		for n := range clients {
			c := octotest.NewCaller(t, p.Addr)
			wg.Go(func() { cut.acquire(c, fmt.Sprintf("r%d/c%d", round, n), 1+n%2) })
		}
		octotest.WaitUntil(t, "the load is on", func() bool { return cut.asked.Load() > int64(4*clients) })
		pauseFor(t, p, 1300*time.Millisecond)
		octotest.WaitUntil(t, "it goes on", func() bool { return p.Metric("octostore_serving") == 1 })
		close(cut.stop)
		wg.Wait()
		late += cut.late
		t.Logf("cut in two: %d granted, %d of them with their safe end past on arrival; %d refused", cut.good, cut.past, cut.late)
		if cut.good+cut.late == 0 {
			t.Error("no request was under way when the server stood still")
		}
	}
	p.ExpectHealthy(t)
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
func (x *cutInTwo) acquire(c *octotest.Caller, prefix string, ttl int) {
	for i := 0; ; i++ {
		select {
		case <-x.stop:
			return
		default:
		}
		name := fmt.Sprintf("%s/%d", prefix, i)
		sent := time.Now()
		x.asked.Add(1)
		got := c.Ask(fmt.Sprintf("/v1/locks/%s/acquire?ttl=%ds", name, ttl))
		if got.Status != 200 || got.After.Sub(sent) > time.Second {
			x.count(c, name, sent, got)
			return
		}
	}
}

func (x *cutInTwo) count(c *octotest.Caller, name string, sent time.Time, got octotest.Answer) {
	past := got.Status == 200 && checkSafeEnd(x.t, c, name, sent, got)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case past:
		x.good++
		x.past++
	case got.Status == 200:
		x.good++
	case got.Status == 503 && (strings.Contains(got.Body, `"too_late"`) || strings.Contains(got.Body, `"outcome_unknown"`)):
		x.late++
	default:
		x.t.Errorf("%s: %d %s %v", name, got.Status, got.Body, got.Err)
	}
}

// checkSafeEnd has the next holder come, and reports whether the client could tell
// from the answer that its lease was over already.
func checkSafeEnd(t *testing.T, c *octotest.Caller, name string, sent time.Time, got octotest.Answer) (past bool) {
	g := octotest.GrantIn(got)
	if g.ExpiresInMS < 1 {
		t.Errorf("%s: granted with %d ms left", name, g.ExpiresInMS)
	}
	safe := sent.Add(time.Duration(g.ServerMS+g.ExpiresInMS) * time.Millisecond)
	next := c.Ask("/v1/locks/" + name + "/acquire?ttl=1s&wait=10s")
	if next.Status != 200 {
		t.Errorf("%s: the next is answered %d %s %v", name, next.Status, next.Body, next.Err)
		return false
	}
	if next.After.Before(safe) {
		t.Errorf("%s: another client has it %s before the safe end", name, safe.Sub(next.After))
	}
	if token := octotest.GrantIn(next).FencingToken; token <= g.FencingToken {
		t.Errorf("%s: token %d after %d", name, token, g.FencingToken)
	}
	return safe.Before(got.After)
}

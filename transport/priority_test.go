package transport

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// lanes is a guard that gives a request the priority its holder begins with.
type lanes struct{}

func (lanes) Covers(hook core.Hook, _ lock.Name) bool { return hook == core.HookAcquire }

func (lanes) Judge(_ context.Context, q core.Question) (v core.Decision, _ error) {
	for _, p := range lock.Priorities() {
		if q.Phase == core.PhaseRequest && strings.HasPrefix(q.Asked.Holder, p.String()) {
			v.Priority, v.SetPriority = p, true
			v.Verdicts = []lock.Verdict{{Policy: "lane", At: "request", Mode: "enforce", Verdict: "allow", Priority: p.String()}}
		}
	}
	return v, nil
}

func TestPriorityIsShownAndOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{core: core.Config{Guard: lanes{}}})
		first := s.do(t, "POST /v1/locks/a/acquire?ttl=1h").grant()
		ctx, leave := context.WithCancel(t.Context())
		for _, holder := range []string{"back", "other", "front", "normal"} {
			go s.do(t, "POST /v1/locks/a/acquire?wait=9m&ttl=1h&holder="+holder, during(ctx))
			synctest.Wait()
			time.Sleep(time.Second)
		}
		shown := func(l api.Lock) string {
			text := ""
			for _, w := range l.Waiters {
				text += fmt.Sprintf("%d %s %q; ", w.Position, w.Holder, w.Priority)
			}
			return text
		}
		const want = `1 front "front"; 2 other ""; 3 normal ""; 4 back "back"; `
		for _, line := range []string{"GET /v1/locks/a", "GET /v1/locks/a?waiters=10"} {
			if got := shown(s.do(t, line).lock()); got != want {
				t.Errorf("%s:\n got %s\nwant %s", line, got, want)
			}
		}
		list := decode[api.List](s.do(t, "GET /v1/locks").want(200))
		if got := shown(list.Locks[0]); got != want {
			t.Errorf("in the list: %s", got)
		}
		// The place is that in the order in which the lock would be given.
		if p := s.do(t, "POST /v1/locks/a/acquire?wait=1s&holder=front-2").want(409, api.CodeHeld).problem(); p.Position != 2 || p.Waiters != 4 {
			t.Errorf("place %d before %d that stay, want 2 before 4", p.Position, p.Waiters)
		}
		got := s.scrape(t)
		for line, want := range map[string]string{
			`octostore_waiters`:                                        "4",
			`octostore_queue_waiters{priority="front"}`:                "1",
			`octostore_queue_waiters{priority="normal"}`:               "2",
			`octostore_queue_waiters{priority="back"}`:                 "1",
			`octostore_queue_longest_wait_seconds{priority="front"}`:   "3",
			`octostore_queue_longest_wait_seconds{priority="normal"}`:  "4",
			`octostore_queue_longest_wait_seconds{priority="back"}`:    "5",
			`octostore_queue_longest_wait_seconds{priority="nothing"}`: "",
		} {
			if got[line] != want {
				t.Errorf("%s is %q, want %q", line, got[line], want)
			}
		}
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", first.LeaseID)).want(200)
		synctest.Wait()
		if l := s.do(t, "GET /v1/locks/a").lock(); l.Lease == nil || l.Lease.Holder != "front" {
			t.Errorf("the lock went to %+v", l.Lease)
		}
		if audit := string(s.do(t, "GET /v1/audit").want(200).body); !strings.Contains(audit, `"waited_ms":3000,"priority":"front",`) {
			t.Errorf("the audit log does not say it: %s", audit)
		}
		leave()
		synctest.Wait()
	})
}

package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
)

// deploy is the lock of most scenes.
const deploy = "deploy/prod"

// takeTurns: A holds the lock, B waits, and gets it the moment A releases it.
func (s *stage) takeTurns(ctx context.Context) error {
	s.does("A", "POST /v1/locks/%s/acquire?ttl=60s&holder=A", deploy)
	a, err := s.client.granted(ctx, deploy, "ttl=60s&holder=A")
	if err != nil {
		return err
	}
	s.hears("A", "200, it is yours. fencing token %d", a.FencingToken)

	s.does("B", "POST /v1/locks/%s/acquire?ttl=60s&holder=B&wait=30s", deploy)
	b := s.wait(ctx, deploy, "ttl=60s&holder=B&wait=30s")
	if err := s.untilWaiting(ctx, deploy, 1); err != nil {
		return err
	}
	s.say("     … B stands in the queue, and A works for a second …")
	if err := sleep.For(ctx, time.Second); err != nil {
		return err
	}
	s.does("A", "POST /v1/locks/%s/release", deploy)
	released := time.Now()
	if problem, err := s.client.finish(ctx, deploy, "release", a.LeaseID); err != nil || problem != nil {
		return unexpected("the release", problem, err)
	}
	got := <-b
	if got.err != nil || got.problem != nil {
		return unexpected("B", got.problem, got.err)
	}
	s.hears("B", "200, it is yours. fencing token %d, %.1f ms after A began to release",
		got.FencingToken, float64(got.at.Sub(released).Microseconds())/1000)
	s.leaseOfB = got.LeaseID
	return s.grows(a.FencingToken, got.FencingToken)
}

// giveUp: C waits for the lock that B holds, and learns who holds it.
func (s *stage) giveUp(ctx context.Context) error {
	s.does("C", "POST /v1/locks/%s/acquire?holder=C&wait=1s", deploy)
	c, err := s.client.acquire(ctx, deploy, "holder=C&wait=1s")
	if err != nil {
		return err
	}
	if c.problem == nil || c.problem.Code != api.CodeHeld || c.problem.HeldProblem == nil {
		return unexpected("C", c.problem, nil)
	}
	held := c.problem.HeldProblem
	s.hears("C", "409 held, after %d ms: %q has it for another %d s at most",
		held.WaitedMS, held.Lease.Holder, held.Lease.ExpiresInMS/1000)
	return nil
}

// crash: D stops renewing; its lease ends, E goes on, and D's late release is refused.
func (s *stage) crash(ctx context.Context) error {
	const name = "cron/nightly"
	s.does("D", "POST /v1/locks/%s/acquire?ttl=2s&holder=D", name)
	d, err := s.client.granted(ctx, name, "ttl=2s&holder=D")
	if err != nil {
		return err
	}
	s.hears("D", "200, it is yours. fencing token %d", d.FencingToken)
	s.say("     … D crashes and never renews …")
	s.does("E", "POST /v1/locks/%s/acquire?ttl=60s&holder=E&wait=30s", name)
	e, err := s.client.granted(ctx, name, "ttl=60s&holder=E&wait=30s")
	if err != nil {
		return err
	}
	s.hears("E", "200 after %d ms of waiting: the lease of D has expired. fencing token %d", e.WaitedMS, e.FencingToken)
	s.does("D", "POST /v1/locks/%s/release        (back from the dead)", name)
	problem, err := s.client.finish(ctx, name, "release", d.LeaseID)
	if err != nil || problem == nil || problem.Code != api.CodeNotHeld {
		return unexpected("the late release", problem, err)
	}
	s.hears("D", "409 not_held: E is not disturbed. Whatever D still writes with token %d can be refused", d.FencingToken)
	return s.grows(d.FencingToken, e.FencingToken)
}

// kill: the server is killed; its promises hold.
func (s *stage) kill(ctx context.Context) error {
	before, err := s.client.get(ctx, deploy)
	if err != nil {
		return err
	}
	s.say("     kill -9 %d", s.server.PID)
	addr := s.server.Addr
	s.server.Kill()
	start := time.Now()
	if err := s.start(ctx, addr); err != nil {
		return err
	}
	s.say("     … and started again on the same file, in %d ms", time.Since(start).Milliseconds())
	s.does("?", "GET /v1/locks/%s", deploy)
	after, err := s.client.get(ctx, deploy)
	if err != nil {
		return err
	}
	if after.Lease == nil || before.Lease == nil || after.Lease.FencingToken != before.Lease.FencingToken {
		return fmt.Errorf("before: %+v, after: %+v", before.Lease, after.Lease)
	}
	s.hears("?", "held by %q, fencing token %d, as before", after.Lease.Holder, after.Lease.FencingToken)
	s.does("B", "POST /v1/locks/%s/renew", deploy)
	if problem, err := s.client.finish(ctx, deploy, "renew", s.leaseOfB); err != nil || problem != nil {
		return unexpected("the renewal", problem, err)
	}
	s.hears("B", "200, the lease goes on")
	s.does("F", "POST /v1/locks/other/acquire?holder=F")
	f, err := s.client.granted(ctx, "other", "holder=F")
	if err != nil {
		return err
	}
	s.hears("F", "200, it is yours. fencing token %d, greater than all before", f.FencingToken)
	return s.grows(after.Lease.FencingToken, f.FencingToken)
}

// grows checks that a token is larger than an earlier one.
func (s *stage) grows(earlier, later uint64) error {
	if later > earlier {
		return nil
	}
	return fmt.Errorf("fencing token %d was granted after %d", later, earlier)
}

func unexpected(what string, problem *api.Problem, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case problem != nil:
		return fmt.Errorf("%s was answered %d %s", what, problem.Status, problem.Code)
	}
	return fmt.Errorf("%s was answered as if all were well", what)
}

// waited is the final answer of a waiter.
type waited struct {
	answer
	err error
}

// wait requests a lock in the background.
func (s *stage) wait(ctx context.Context, name, query string) <-chan waited {
	told := make(chan waited, 1)
	client := s.client
	go func() {
		a, err := client.acquire(ctx, name, query)
		told <- waited{a, err}
	}()
	return told
}

// untilWaiting returns when n requests wait for the lock.
func (s *stage) untilWaiting(ctx context.Context, name string, n int) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		l, err := s.client.get(ctx, name)
		if err != nil || l.WaitersTotal == n {
			return err
		}
		if err := sleep.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("no request waits for %s", name)
}

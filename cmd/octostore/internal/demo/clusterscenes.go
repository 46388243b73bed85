package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
)

// anyNode: A and B ask nodes that do not serve, and take turns.
func (c *cluster) anyNode(ctx context.Context) error {
	serving, others, err := c.serving(ctx)
	if err != nil {
		return err
	}
	c.say("     Node %s serves; nodes %s and %s forward to it.", serving.name, others[0].name, others[1].name)
	c.does("A", "POST http://%s/v1/locks/%s/acquire?ttl=60s&holder=A         (node %s)", others[0].addr, deploy, others[0].name)
	a, err := others[0].granted(ctx, deploy, "ttl=60s&holder=A")
	if err != nil {
		return err
	}
	c.hears("A", "200, it is yours. fencing token %d", a.FencingToken)
	c.does("B", "POST http://%s/v1/locks/%s/acquire?ttl=60s&holder=B&wait=30s (node %s)", others[1].addr, deploy, others[1].name)
	b := waitAt(ctx, others[1], "ttl=60s&holder=B&wait=30s")
	if err := c.untilQueued(ctx, serving); err != nil {
		return err
	}
	c.does("A", "POST http://%s/v1/locks/%s/release                           (node %s)", serving.addr, deploy, serving.name)
	released := time.Now()
	if problem, err := serving.finish(ctx, deploy, "release", a.LeaseID); err != nil || problem != nil {
		return unexpected("the release", problem, err)
	}
	got := <-b
	if got.err != nil || got.problem != nil {
		return unexpected("B", got.problem, got.err)
	}
	c.hears("B", "200, it is yours. fencing token %d, %.1f ms after A began to release",
		got.FencingToken, float64(got.at.Sub(released).Microseconds())/1000)
	return c.release(ctx, got.Grant)
}

// waitAt requests the lock of the scenes from a node in the background.
func waitAt(ctx context.Context, n *node, query string) <-chan waited {
	told := make(chan waited, 1)
	go func() {
		a, err := n.acquire(ctx, deploy, query)
		told <- waited{a, err}
	}()
	return told
}

// untilQueued returns when a request waits for the lock of the scenes.
func (c *cluster) untilQueued(ctx context.Context, ask *node) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		l, err := ask.get(ctx, deploy)
		if err != nil || l.WaitersTotal == 1 {
			return err
		}
		if err := sleep.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("no request waits for %s", deploy)
}

func (c *cluster) release(ctx context.Context, g api.Grant) error {
	return c.persist(ctx, c.nodes, func(n *node) (*api.Problem, error) {
		return n.finish(ctx, g.Name, "release", g.LeaseID)
	})
}

// killServing: the serving node dies while C holds the lock and D waits at another node.
func (c *cluster) killServing(ctx context.Context) error {
	serving, others, err := c.serving(ctx)
	if err != nil {
		return err
	}
	held, err := others[0].granted(ctx, deploy, "ttl=60s&holder=C")
	if err != nil {
		return err
	}
	c.hears("C", "200, it is yours. fencing token %d", held.FencingToken)
	c.does("D", "curl --retry 10 -X POST http://%s/v1/locks/%s/acquire?wait=30s&holder=D (node %s)", others[1].addr, deploy, others[1].name)
	next := make(chan waited, 1)
	go func() { next <- c.acquireAnyhow(ctx, others, "ttl=60s&holder=D&wait=30s") }()
	if err := c.untilQueued(ctx, others[0]); err != nil {
		return err
	}
	c.say("     kill -9 %d   (node %s, which serves; leases of nodes are %s here, 10 s by default)",
		serving.server.PID, serving.name, nodeLease)
	killed := time.Now()
	serving.server.Kill()
	if err := c.renew(ctx, others, held.Grant); err != nil {
		return err
	}
	c.hears("C", "200 to a renewal, %d ms after the kill: the lease goes on", time.Since(killed).Milliseconds())
	taken, _, err := c.serving(ctx)
	if err != nil {
		return err
	}
	c.say("     Node %s serves now. D was answered 503, and waits again.", taken.name)
	if err := errors.Join(c.untilQueued(ctx, others[0]), c.release(ctx, held.Grant)); err != nil {
		return err
	}
	d := <-next
	if d.err != nil || d.problem != nil {
		return unexpected("D", d.problem, d.err)
	}
	c.hears("D", "200, it is yours. fencing token %d, greater than all before", d.FencingToken)
	if d.FencingToken <= held.FencingToken {
		return fmt.Errorf("fencing token %d was granted after %d", d.FencingToken, held.FencingToken)
	}
	if err := errors.Join(c.release(ctx, d.Grant), c.start(ctx, serving)); err != nil {
		return err
	}
	c.say("     Node %s is started again.", serving.name)
	return c.untilReady(ctx, serving)
}

// acquireAnyhow waits for the lock of the scenes as a client that is told to come back.
func (c *cluster) acquireAnyhow(ctx context.Context, nodes []*node, query string) (w waited) {
	nodes = slices.Clone(nodes)
	slices.Reverse(nodes) // others[1] first
	w.err = c.persist(ctx, nodes, func(n *node) (*api.Problem, error) {
		var err error
		w.answer, err = n.acquire(ctx, deploy, query)
		return w.problem, err
	})
	return w
}

func (c *cluster) renew(ctx context.Context, nodes []*node, g api.Grant) error {
	return c.persist(ctx, nodes, func(n *node) (*api.Problem, error) {
		return n.finish(ctx, g.Name, "renew", g.LeaseID)
	})
}

// restartAll: each node is stopped and started, the serving one last, while E renews its lease
// all the time.
func (c *cluster) restartAll(ctx context.Context) error {
	serving, others, err := c.serving(ctx)
	if err != nil {
		return err
	}
	e, err := serving.granted(ctx, "reports", "ttl=10s&holder=E")
	if err != nil {
		return err
	}
	c.does("E", "POST /v1/locks/reports/renew                                              (all the time, at any node)")
	over, counted := make(chan struct{}), make(chan renewals, 1)
	go func() { counted <- c.renewUntil(ctx, over, e.Grant) }()
	for _, n := range append(others, serving) {
		c.say("     kill %d      (node %s), and start it again", n.server.PID, n.name)
		n.server.Stop()
		if err = errors.Join(c.start(ctx, n), c.untilReady(ctx, n)); err != nil {
			break
		}
	}
	close(over)
	r := <-counted
	if err := errors.Join(err, r.err); err != nil {
		return err
	}
	c.hears("E", "200, %d times, and no other answer; at most %d ms between two of them", r.done, r.gap.Milliseconds())
	after, _, err := c.serving(ctx)
	if err != nil {
		return err
	}
	c.say("     Node %s serves now. No lease was lost, and no renewal failed.", after.name)
	return c.release(ctx, e.Grant)
}

// renewals are how often a lease was renewed, and the longest time between two answers.
type renewals struct {
	done int
	gap  time.Duration
	err  error
}

// renewUntil renews a lease through all nodes in turn.
func (c *cluster) renewUntil(ctx context.Context, over <-chan struct{}, g api.Grant) (r renewals) {
	last := time.Now()
	for turn := 0; ; turn++ {
		select {
		case <-over:
			return r
		default:
		}
		from := turn % len(c.nodes)
		if r.err = c.renew(ctx, append(c.nodes[from:len(c.nodes):len(c.nodes)], c.nodes[:from]...), g); r.err != nil {
			return r
		}
		now := time.Now()
		r.gap, last = max(r.gap, now.Sub(last)), now
		r.done++
		if r.err = sleep.For(ctx, time.Millisecond); r.err != nil {
			return r
		}
	}
}

// chain: the record goes over all terms in one chain, and any node has it.
func (c *cluster) chain(ctx context.Context) error {
	_, others, err := c.serving(ctx)
	if err != nil {
		return err
	}
	c.does("I", "GET http://%s/v1/audit (node %s)", others[0].addr, others[0].name)
	export, err := export(ctx, others[0].client)
	if err != nil {
		return err
	}
	story, verdict, err := storyOf(export)
	if err != nil {
		return err
	}
	c.hears("I", "%d records, signed, none changed or missing. What happened to %s:", verdict.Records, deploy)
	for _, line := range story {
		c.say("        %s", line)
	}
	return nil
}

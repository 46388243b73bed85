package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/child"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
)

// startEtcd starts all members of etcd, which are ready when a majority of them is there.
func (c *cluster) startEtcd(ctx context.Context) error {
	addresses, err := freeAddresses(2 * c.cfg.Etcds)
	if err != nil {
		return err
	}
	var members []string
	for i := range c.cfg.Etcds {
		members = append(members, fmt.Sprintf("etcd-%d=http://%s", i+1, addresses[2*i+1]))
		c.urls = append(c.urls, "http://"+addresses[2*i])
	}
	type started struct {
		member *child.Process
		err    error
	}
	all := make(chan started)
	for i := range c.cfg.Etcds {
		name, peer := fmt.Sprintf("etcd-%d", i+1), "http://"+addresses[2*i+1]
		argv := []string{
			c.cfg.Etcd, "--name", name, "--data-dir", filepath.Join(c.dir, name),
			"--listen-client-urls", c.urls[i], "--advertise-client-urls", c.urls[i],
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-token", filepath.Base(c.dir),
		}
		go func() {
			member, err := child.StartOther(ctx, argv, nil, func(line string) bool {
				return strings.Contains(line, "ready to serve client requests")
			})
			all <- started{member, err}
		}()
	}
	var failed []error
	for range c.cfg.Etcds {
		s := <-all
		if s.err != nil {
			failed = append(failed, fmt.Errorf("etcd did not start: %w", s.err))
			continue
		}
		c.etcds = append(c.etcds, s.member)
	}
	return errors.Join(failed...)
}

// freeAddresses returns addresses on loopback that nobody listens on.
func freeAddresses(n int) (found []string, err error) {
	for range n {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:revive // all of them are held until the last is found
		found = append(found, l.Addr().String())
	}
	return found, nil
}

func (c *cluster) startNodes(ctx context.Context) error {
	addresses, err := freeAddresses(nodeCount)
	if err != nil {
		return err
	}
	for i, addr := range addresses {
		n := &node{name: string(rune('a' + i)), addr: addr, client: newClient("http://" + addr)}
		if err := c.start(ctx, n); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	return c.untilReady(ctx, c.nodes...)
}

// start starts a node, also once more.
func (c *cluster) start(ctx context.Context, n *node) error {
	server, err := child.Start(ctx, c.cfg.Serve, append(child.Open(),
		"OCTOSTORE_ADDR="+n.addr,
		"OCTOSTORE_DB="+filepath.Join(c.dir, "node-"+n.name+".db"), // compiled policies are kept beside it
		"OCTOSTORE_STORE=etcd",
		"OCTOSTORE_ETCD_ENDPOINTS="+strings.Join(c.urls, ","),
		"OCTOSTORE_ETCD_LEASE="+nodeLease.String(),
		"OCTOSTORE_NODE="+n.name,
		"OCTOSTORE_ADVERTISE_URL=http://"+n.addr,
	))
	if err != nil {
		return fmt.Errorf("node %s did not start: %w", n.name, err)
	}
	n.server = server
	return nil
}

// readyTime bounds how long nodes take until they serve or forward, on a busy machine.
const readyTime = time.Minute

// untilReady waits until nodes serve, or reach the one that does.
func (c *cluster) untilReady(ctx context.Context, nodes ...*node) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for _, n := range nodes {
		for n.ready(ctx) != nil {
			if err := sleep.For(ctx, 20*time.Millisecond); err != nil {
				return fmt.Errorf("node %s is not ready: %w", n.name, n.ready(context.WithoutCancel(ctx)))
			}
		}
	}
	return nil
}

func (n *node) ready(ctx context.Context) error {
	problem, err := n.do(ctx, "GET", "/readyz", "", nil)
	if problem != nil {
		err = errors.New(problem.Detail)
	}
	return err
}

// serving returns the node that serves, and those that forward to it.
func (c *cluster) serving(ctx context.Context) (serving *node, others []*node, err error) {
	var state api.Cluster
	err = c.persist(ctx, c.nodes, func(n *node) (*api.Problem, error) {
		return n.do(ctx, "GET", "/v1/cluster", "", &state)
	})
	for _, n := range c.nodes {
		if n.name == state.Serving.Node {
			serving = n
		} else {
			others = append(others, n)
		}
	}
	if serving == nil && err == nil {
		err = errors.New("no node serves")
	}
	return serving, others, err
}

// persist asks nodes in turn, as `curl --retry` and a load balancer do, until one does what it is
// asked or refuses it for good.
func (c *cluster) persist(ctx context.Context, nodes []*node, ask func(*node) (*api.Problem, error)) error {
	for turn := 0; ; turn++ {
		n := nodes[turn%len(nodes)]
		problem, err := ask(n)
		switch {
		case err == nil && problem == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && problem.Status != 503:
			return fmt.Errorf("node %s: %d %s: %s", n.name, problem.Status, problem.Code, problem.Detail)
		}
		if err := sleep.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/child"
)

// ClusterConfig configures the demonstration of a cluster.
type ClusterConfig struct {
	Config
	Etcd  string // path of etcd, version 3.6 or newer
	Etcds int    // how many members of etcd are started: 1 to 9
}

// cluster is the stage of a demonstration with several nodes.
type cluster struct {
	story
	cfg   ClusterConfig
	dir   string
	etcds []*child.Process
	urls  []string // of etcd
	nodes []*node
}

// node is one server.
type node struct {
	name, addr string
	server     *child.Process
	*client
}

const (
	nodeCount = 3
	// nodeLease is shorter than the default, so that nobody has to wait long.
	nodeLease = 3 * time.Second
)

// RunCluster starts etcd and three nodes, plays the scenes and, unless cfg.Once, keeps the nodes
// running until ctx ends. It returns an error if an answer differs from the expected one. In any
// case it stops all processes and removes their data.
func RunCluster(ctx context.Context, cfg ClusterConfig) error {
	told, err := runCluster(ctx, cfg)
	if !told && ctx.Err() != nil {
		return ErrInterrupted // later failures follow from that
	}
	return err
}

func runCluster(ctx context.Context, cfg ClusterConfig) (told bool, err error) {
	dir, err := os.MkdirTemp("", "octostore-demo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	c := &cluster{story: story{out: cfg.Out, color: cfg.Color}, cfg: cfg, dir: dir}
	defer c.stop()
	if err := errors.Join(c.startEtcd(ctx)); err != nil {
		return false, err
	}
	if err := c.startNodes(ctx); err != nil {
		return false, err
	}
	begun := time.Now()
	if err := c.play(ctx); err != nil {
		return false, err
	}
	c.say("All of this took %.1f seconds.", time.Since(begun).Seconds())
	if cfg.Once {
		return true, nil
	}
	c.stay(ctx)
	return true, nil
}

// stop ends all processes: the nodes in good order, etcd, whose data goes too, at once.
func (c *cluster) stop() {
	for _, n := range c.nodes {
		n.server.Stop()
	}
	for _, e := range c.etcds {
		e.Kill()
	}
}

func (c *cluster) play(ctx context.Context) error {
	c.say("%s and three nodes run:", plural(len(c.etcds), "etcd", "etcds"))
	for _, n := range c.nodes {
		c.say("  %s  http://%s", n.name, n.addr)
	}
	for i, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"One lock, whichever node is asked", c.anyNode},
		{"The serving node is killed", c.killServing},
		{"A rolling restart", c.restartAll},
		{"One record of it all", c.chain},
	} {
		c.scene(i+1, scene.title)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("scene %d, %q: %w", i+1, scene.title, err)
		}
	}
	c.say("")
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "One " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// stay keeps the nodes running, for readers who want to try it by hand.
func (c *cluster) stay(ctx context.Context) {
	c.say("The nodes stay up. Try it from other terminals, ctrl-C ends them:\n")
	c.say("  curl http://%s/v1/cluster", c.nodes[0].addr)
	c.say("  curl --retry 10 -X POST 'http://%s/v1/locks/my/job/acquire?ttl=60s'", c.nodes[1].addr)
	for _, n := range c.nodes {
		c.say("  kill -9 %d   # %s", n.server.PID, n.name)
	}
	<-ctx.Done()
	c.say("\nThe nodes stop; their data is removed.")
}

package clusters_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// nodes is how many nodes of OctoStore a cluster of the tests has.
const nodes = 3

// cluster is an etcd and the nodes that use it. One goroutine changes it.
type cluster struct {
	t     *testing.T
	etcd  *etcdtest.Etcd
	nodes [nodes]*node
}

// node is one server, and its way to etcd.
type node struct {
	name, addr string
	dir        string
	proxies    []*etcdtest.Proxy // one for each node of etcd
	server     *octotest.Server

	avoided atomic.Bool // most requests go elsewhere: it does not answer now
	leaving atomic.Bool // it is about to close the connections that clients keep open
}

// start returns a cluster whose nodes are ready.
func start(t *testing.T, etcd *etcdtest.Etcd) *cluster {
	t.Helper()
	c := &cluster{t: t, etcd: etcd}
	addresses := freeAddresses(t, nodes)
	for i := range c.nodes {
		n := &node{name: fmt.Sprintf("node-%d", i+1), addr: addresses[i], dir: t.TempDir()}
		for _, endpoint := range etcd.Endpoints() {
			n.proxies = append(n.proxies, etcdtest.NewProxy(t, endpoint))
		}
		c.nodes[i] = n
	}
	for _, n := range c.nodes {
		c.launch(n)
	}
	t.Cleanup(func() {
		c.t = t
		c.stop()
	})
	c.awaitReady()
	return c
}

// freeAddresses returns addresses that nobody listens on. Nodes keep theirs over restarts.
func freeAddresses(t *testing.T, n int) (found []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:revive // all of them are held until the last is found
		found = append(found, l.Addr().String())
	}
	return found
}

// launch starts a node and returns when it listens.
func (c *cluster) launch(n *node) {
	c.t.Helper()
	var endpoints []string
	for _, p := range n.proxies {
		endpoints = append(endpoints, p.Endpoint())
	}
	server, err := octotest.TryStart(n.dir,
		"OCTOSTORE_ADDR="+n.addr,
		"OCTOSTORE_STORE=etcd",
		"OCTOSTORE_ETCD_ENDPOINTS="+strings.Join(endpoints, ","),
		"OCTOSTORE_ETCD_LEASE="+lease().String(),
		"OCTOSTORE_NODE="+n.name,
		"OCTOSTORE_ADVERTISE_URL=http://"+n.addr,
	)
	if err != nil {
		c.t.Fatalf("%s: %v", n.name, err)
	}
	n.server = server
}

// stop kills what still runs, and shows the ends of the logs if the test has failed.
func (c *cluster) stop() {
	for _, n := range c.nodes {
		if n.server == nil {
			continue
		}
		_ = n.server.Signal(syscall.SIGCONT) // it may be paused, or gone
		n.server.Kill()
		if c.t.Failed() {
			lines := strings.SplitAfter(n.server.RawLog(), "\n")
			c.t.Logf("the end of the log of %s:\n%s", n.name, strings.Join(lines[max(0, len(lines)-25):], ""))
		}
	}
}

// recovery bounds how long a cluster that nothing disturbs any more takes to be ready again.
const recovery = time.Minute

// awaitReady waits until every node serves or reaches the one that does.
func (c *cluster) awaitReady() {
	c.t.Helper()
	for _, n := range c.nodes {
		octotest.WaitWithin(c.t, recovery, n.name+" is ready", n.ready)
	}
}

func (n *node) ready() bool {
	got := octotest.Call("GET", n.addr, "/readyz")
	return got.Err == nil && got.Status == 200
}

// restart starts a node again that has ended.
func (c *cluster) restart(n *node) {
	c.t.Helper()
	n.server.Kill()
	c.launch(n)
	n.avoided.Store(false)
	n.leaving.Store(false)
}

// owner is the value of the key that names the node that serves.
type owner struct {
	Node string `json:"node"`
}

// serving waits until a node serves, and returns it.
func (c *cluster) serving() (found *node) {
	c.t.Helper()
	octotest.WaitWithin(c.t, recovery, "a node serves", func() bool {
		found = c.named(c.own().node())
		return found != nil
	})
	return found
}

func (c *cluster) named(name string) *node {
	i := slices.IndexFunc(c.nodes[:], func(n *node) bool { return n.name == name })
	if i < 0 {
		return nil
	}
	return c.nodes[i]
}

// own returns the key of the node that serves, as etcd has it; the zero value if there is none
// or etcd does not answer.
func (c *cluster) own() keyValue {
	found, err := c.get("/octostore/p/00/own")
	if err != nil || len(found) == 0 {
		return keyValue{}
	}
	return found[0]
}

// node returns the name in a key that belongs to a node.
func (kv keyValue) node() string {
	var o owner
	_ = json.Unmarshal(kv.Value, &o) // no key, no name
	return o.Node
}

// term returns the number of the term of the node that serves, 0 if none does.
func (c *cluster) term() int64 { return int64(cmp.Or(c.own().CreateRevision, 0)) }

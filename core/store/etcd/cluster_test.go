package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

const eventually = 30 * time.Second // on a busy machine

// nodesOf opens nodes of one cluster, each of which reaches etcd by its own endpoints.
type nodesOf struct {
	t       *testing.T
	prefix  string
	by      func(clientv3.KV) clientv3.KV // the way of the next one's requests
	lease   time.Duration                 // see Config
	agePast time.Duration                 // see Config
	log     *slog.Logger
}

func newNodes(t *testing.T) *nodesOf {
	t.Helper()
	return &nodesOf{t: t, prefix: fmt.Sprintf("/%s/%d/", t.Name(), tables.Add(1)), lease: 2 * time.Second}
}

func (n *nodesOf) open(name string, endpoints ...string) *Cluster {
	n.t.Helper()
	if len(endpoints) == 0 {
		endpoints = etcdtest.Shared(n.t).Endpoints()
	}
	c, err := Open(n.t.Context(), Config{
		Endpoints: endpoints, Prefix: n.prefix, Lease: n.lease,
		Node: name, URL: "http://" + name, Version: "1", Policies: "none", by: n.by, agePast: n.agePast, Logger: n.log,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (n *nodesOf) join(name string, endpoints ...string) *Cluster {
	n.t.Helper()
	c := n.open(name, endpoints...)
	if err := c.Join(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *nodesOf) take(c *Cluster) *Store {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), eventually)
	defer cancel()
	s, err := c.Take(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = s.Close() })
	return s
}

// client returns a client of etcd beside the nodes, and the keys that they use.
func (n *nodesOf) client() (*clientv3.Client, keys) {
	n.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: etcdtest.Shared(n.t).Endpoints()})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	return c, keys{n.prefix}
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(eventually):
		t.Fatal(what)
	}
}

// awaitOwner waits until a node sees an owner for which ok is true.
func awaitOwner(t *testing.T, c *Cluster, ok func(Owner) bool) Owner {
	t.Helper()
	end := time.After(eventually)
	for {
		o, changed := c.Owner()
		if ok(o) {
			return o
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("the owner is %+v", o)
		}
	}
}

func TestTakeGivesTheTermToOneNode(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	a, b := n.join("a"), n.join("b")
	s := n.take(a)
	if !s.Owns() || s.ValidFor() <= 0 || s.ValidFor() > 1500*time.Millisecond {
		t.Errorf("a new term of a lease of 2 s: owns %t, for %s", s.Owns(), s.ValidFor())
	}
	o := awaitOwner(t, b, func(o Owner) bool { return o.Term == s.Term() })
	if o.Node != "a" || o.URL != "http://a" || time.Since(o.Since) > eventually {
		t.Errorf("the owner is %+v", o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if s, err := b.Take(ctx); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second node took the term: %v, %v", s, err)
	}
}

func TestTakeAfterAHandOver(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	a, b := n.join("a"), n.join("b")
	first := n.take(a)
	if _, err := first.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken := make(chan *Store, 1)
	go func() {
		s, err := b.Take(t.Context())
		if err == nil {
			taken <- s
		}
	}()
	began := time.Now()
	if err := first.HandOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first.Owns() {
		t.Error("a node that has handed over owns the term still")
	}
	var second *Store
	select {
	case second = <-taken:
	case <-time.After(eventually):
		t.Fatal("the other node did not take the term")
	}
	defer second.Close()
	t.Logf("taken after %s", time.Since(began))
	if second.Term() <= first.Term() {
		t.Errorf("term %d after %d", second.Term(), first.Term())
	}
	if _, err := first.Load(t.Context()); !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("the first node reads after its term: %v", err)
	}
	if _, err := second.Load(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestJoinRefusesANamesake(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	n.join("a")
	second := n.open("a")
	began := time.Now()
	err := second.Join(t.Context())
	if taken := new(NodeTakenError); !errors.As(err, &taken) || taken.Node != "a" || taken.URL != "http://a" {
		t.Errorf("a namesake joined: %v", err)
	}
	if waited := time.Since(began); waited < 2*time.Second {
		t.Errorf("it was refused after %s, before a lease of 2 s can have ended", waited)
	}
}

func TestJoinAgainAfterALeaveWithoutANotice(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	proxy := etcdtest.NewProxy(t, etcdtest.Shared(t).Endpoints()[0])
	first := n.join("a", proxy.Endpoint())
	proxy.Cut() // as if it were killed
	_ = first
	if err := n.open("a").Join(t.Context()); err != nil {
		t.Errorf("the node did not get its own name back: %v", err)
	}
}

func TestNodesAreListedWithTheirPolicies(t *testing.T) {
	n := newNodes(t)
	a, b := n.join("a"), n.join("b")
	if err := b.SetPolicies(t.Context(), "sha256:1"); err != nil {
		t.Fatal(err)
	}
	all, err := a.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range all {
		got = append(got, strings.Join([]string{o.Name, o.URL, o.Version, o.Policies}, " "))
	}
	if want := "a http://a 1 none, b http://b 1 sha256:1"; strings.Join(got, ", ") != want {
		t.Errorf("the nodes are %q, want %q", got, want)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if all, err = a.Nodes(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("after one has left the nodes are %+v, %v", all, err)
	}
}

func TestForwardKeyIsTheSameAtAllNodes(t *testing.T) {
	n := newNodes(t)
	a, b, other := n.open("a"), n.open("b"), newNodes(t).open("a")
	if key := a.ForwardKey(); len(key) != 32 || string(key) != string(b.ForwardKey()) || string(key) == string(other.ForwardKey()) {
		t.Errorf("keys %x and %x, and %x of another cluster", key, b.ForwardKey(), other.ForwardKey())
	}
}

package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

func TestTermIsLostBeforeAnotherNodeCanTakeIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		disturb func(*etcdtest.Proxy)
	}{
		{"cut", (*etcdtest.Proxy).Cut},
		{"answers-lost", (*etcdtest.Proxy).Lose},
		{"late", func(p *etcdtest.Proxy) { p.Delay(3 * time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNodes(t)
			proxy := etcdtest.NewProxy(t, etcdtest.Shared(t).Endpoints()[0])
			first, b := n.take(n.join("a", proxy.Endpoint())), n.join("b")
			for granted := first.lease.Until(); first.lease.Until() == granted && first.Owns(); { // until it is confirmed
				time.Sleep(time.Millisecond)
			}
			tt.disturb(proxy)
			second := n.take(b)
			if first.Owns() {
				t.Errorf("two nodes own the term: the first for %s", first.ValidFor())
			}
			within(t, "the first node does not know that it has lost the term", first.Lost())
			if !second.Owns() || second.Term() <= first.Term() {
				t.Errorf("term %d after %d, owns %t", second.Term(), first.Term(), second.Owns())
			}
			proxy.Mend()
			if _, err := first.Load(t.Context()); !errors.Is(err, lock.ErrDeposed) || first.Owns() {
				t.Errorf("the first node came back to its term: %v, owns %t", err, first.Owns())
			}
		})
	}
}

func TestTermIsLostWithItsLeaseOrItsKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *clientv3.Client, *Store) error
	}{
		{"lease", func(t *testing.T, c *clientv3.Client, s *Store) error {
			_, err := c.Revoke(t.Context(), s.lease.ID())
			return err
		}},
		{"key", func(t *testing.T, c *clientv3.Client, s *Store) error {
			_, err := c.Delete(t.Context(), s.keys.own())
			return err
		}},
		{"value", func(t *testing.T, c *clientv3.Client, s *Store) error {
			_, err := c.Put(t.Context(), s.keys.own(), "x", clientv3.WithLease(s.lease.ID()))
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNodes(t)
			s := n.take(n.join("a"))
			c, _ := n.client()
			if err := tt.end(t, c, s); err != nil {
				t.Fatal(err)
			}
			within(t, "the node does not know that it has lost the term", s.Lost())
			if s.Owns() || s.Cause() == nil || s.ValidFor() > 0 {
				t.Errorf("owns %t for %s, cause %v", s.Owns(), s.ValidFor(), s.Cause())
			}
			if _, err := s.Load(t.Context()); !errors.Is(err, lock.ErrDeposed) {
				t.Errorf("a table is loaded after its term: %v", err)
			}
		})
	}
}

func TestTermOfANodeThatGivesUpIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	n.lease = time.Minute
	a, b := n.join("a"), n.join("b")
	first := n.take(a)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	n.take(b)
	if took := time.Since(began); took > n.lease/3 {
		t.Errorf("the next node waited %s: for the end of the lease?", took)
	}
	if o := awaitOwner(t, a, func(o Owner) bool { return o.Node == "b" }); o.Term <= first.Term() {
		t.Errorf("the owner is %+v after term %d", o, first.Term())
	}
}

// A node leaves the term that it has given up to others. It takes the one after that as soon as any.
func TestTermIsLeftToOthersOnce(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	a, b := n.join("a"), n.join("b")
	if err := n.take(a).Close(); err != nil {
		t.Fatal(err)
	}
	if _, yields := a.view.before(); !yields {
		t.Error("the node would take the term that it has given up before others")
	}
	second := n.take(b)
	awaitOwner(t, a, func(o Owner) bool { return o.Term == second.Term() })
	if _, yields := a.view.before(); yields {
		t.Error("the node would still leave the term to others, when another has had it")
	}
}

// joinBy joins a node whose requests go through w.
func (n *nodesOf) joinBy(w *wire, name string) *Cluster {
	n.t.Helper()
	n.by = func(kv clientv3.KV) clientv3.KV { w.KV = kv; return w }
	defer func() { n.by = nil }()
	return n.join(name)
}

func TestTakeWithoutAnAnswer(t *testing.T) {
	for _, applied := range []bool{true, false} {
		n := newNodes(t)
		w := new(wire)
		c := n.joinBy(w, "a")
		w.lose(applied, func() {})
		s := n.take(c)
		client, k := n.client()
		found, err := client.Get(t.Context(), k.own())
		if err != nil {
			t.Fatal(err)
		}
		if found.Kvs[0].CreateRevision != s.Term() || string(found.Kvs[0].Value) != s.value {
			t.Errorf("applied %t: the term is %d, and the key was made at %d", applied, s.Term(), found.Kvs[0].CreateRevision)
		}
		if _, err := s.Load(t.Context()); err != nil || !s.Owns() {
			t.Errorf("applied %t: %v, owns %t", applied, err, s.Owns())
		}
	}
}

// Two nodes with one name are told apart by the lease of the key.
func TestTakeOfANamesakeIsNotOnesOwn(t *testing.T) {
	n := newNodes(t)
	first, second := n.take(n.open("a")), n.open("a")
	s, err := second.attempt(t.Context())
	if s != nil || err != nil {
		t.Errorf("took a term that is a namesake's: %v", err)
	}
	if !first.Owns() {
		t.Error(first.Cause())
	}
}

// A node that gave up its take while the request was under way must not get the term later,
// when it no longer looks for it.
func TestTakeThatArrivesLateIsRefused(t *testing.T) {
	n := newNodes(t)
	w := new(wire)
	c := n.joinBy(w, "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var late clientv3.Op
	var hold func(context.Context, clientv3.Op) (clientv3.OpResponse, error)
	hold = func(_ context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		late = op
		w.set(hold)
		cancel()
		return clientv3.OpResponse{}, context.DeadlineExceeded
	}
	w.set(hold)
	if s, err := c.Take(ctx); err == nil {
		t.Fatalf("term %d was taken without an answer", s.Term())
	}
	n.take(n.join("b")).Close() // and after this nobody has it
	if _, err := c.client.Do(t.Context(), late); err == nil {
		t.Error("a take that was given up was applied")
	}
	client, k := n.client()
	if found, err := client.Get(t.Context(), k.own()); err != nil || found.Count != 0 {
		t.Errorf("somebody has the term: %v, %v", found, err)
	}
}

func TestTakeThatIsNotServedIsRevoked(t *testing.T) {
	n := newNodes(t)
	c := n.join("a")
	client, k := n.client()
	l, err := client.Grant(t.Context(), 600)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		process string
		revoked bool
	}{{"another", false}, {c.process, true}} {
		text, err := json.Marshal(ownValue{Node: "a", URL: "http://a", Process: tt.process})
		if err != nil {
			t.Fatal(err)
		}
		put, err := client.Put(t.Context(), k.own(), string(text), clientv3.WithLease(l.ID))
		if err != nil {
			t.Fatal(err)
		}
		if tt.revoked {
			awaitOwner(t, c, func(o Owner) bool { return o.Term == 0 })
			continue
		}
		awaitOwner(t, c, func(o Owner) bool { return o.Term == put.Header.Revision })
		if _, err := client.KeepAliveOnce(t.Context(), l.ID); err != nil {
			t.Errorf("the term of a namesake was revoked: %v", err)
		}
	}
	if _, err := client.KeepAliveOnce(t.Context(), l.ID); err == nil {
		t.Error("a term under a lease of this process goes on, and nobody serves it")
	}
}

func TestNodeJoinsAgainAfterItsLease(t *testing.T) {
	n := newNodes(t)
	c := n.join("a")
	before := c.member.leased()
	client, k := n.client()
	if _, err := client.Revoke(t.Context(), before.ID()); err != nil {
		t.Fatal(err)
	}
	within(t, "the node does not notice", before.Lost())
	for end := time.Now().Add(eventually); ; {
		found, err := client.Get(t.Context(), k.node("a"))
		if err == nil && found.Count == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the node has not joined again: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestLeaseThatWasNotConfirmedInTimeStaysOver(t *testing.T) {
	t.Parallel()
	proxy := etcdtest.NewProxy(t, etcdtest.Shared(t).Endpoints()[0])
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{proxy.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l, err := lease.Grant(t.Context(), client, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var times atomic.Int32
	for l.ValidFor() < 1400*time.Millisecond && times.Add(1) < 1000 { // until it was confirmed
		time.Sleep(5 * time.Millisecond)
	}
	proxy.Cut()
	within(t, "the lease goes on", l.Lost())
	if left := l.ValidFor(); l.Valid() || left > 0 || !errors.Is(l.Cause(), lease.ErrSilent) {
		t.Errorf("valid %t for %s: %v", l.Valid(), left, l.Cause())
	}
	proxy.Mend()
	ctx, cancel := context.WithTimeout(t.Context(), eventually)
	defer cancel()
	if err := l.Revoke(ctx, lease.ErrEnded); err != nil || l.Valid() {
		t.Errorf("%v, valid %t", err, l.Valid())
	}
}

// A node that gives up while it joins leaves no lease behind, also if its process ends at once.
func TestNodeThatGivesUpJoiningLeavesNoLease(t *testing.T) {
	n := newNodes(t)
	w := new(wire)
	n.by = func(kv clientv3.KV) clientv3.KV { w.KV = kv; return w }
	c := n.open("a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.set(func(_ context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		if _, err := w.KV.Do(t.Context(), op); err != nil {
			t.Error(err)
		}
		cancel()
		return clientv3.OpResponse{}, context.Canceled
	})
	if err := c.Join(ctx); err == nil {
		t.Fatal("it has joined without an answer")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	client, k := n.client()
	left, err := client.Get(t.Context(), k.node("a"))
	if err != nil || left.Count != 0 {
		t.Errorf("the node is there still: %v, %v", left.Kvs, err)
	}
}

// A node that hands over its term trusts it no more when etcd may delete its key, and its request
// ends no other term, however late it arrives.
func TestHandOverEndsTheTrustFirstAndNoOtherTerm(t *testing.T) {
	n := newNodes(t)
	w := new(wire)
	first := n.take(n.joinBy(w, "a"))
	trusted := false
	late := w.hold(func() { trusted = first.Owns() })
	if err := first.HandOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if trusted {
		t.Error("the term was trusted when etcd was asked to delete its key")
	}
	second := n.take(n.join("b"))
	late()
	client, k := n.client()
	if found, err := client.Get(t.Context(), k.own()); err != nil || found.Count != 1 || found.Kvs[0].CreateRevision != second.Term() {
		t.Errorf("a late hand-over has ended the next term: %v, %v", found, err)
	}
}

package etcd

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// A member of etcd that is paused keeps its connections and says nothing; a leader that is
// killed is replaced by an election. Neither ends a term.
func TestTermOutlivesAMemberOfEtcd(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 3)
	c, err := Open(t.Context(), Config{Endpoints: e.Endpoints(), Node: "a", URL: "http://a"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	goesOn := func(what string) {
		t.Helper()
		began, before := time.Now(), s.lease.Until()
		for s.lease.Until() <= before+time.Second { // confirmed since
			if !s.Owns() {
				t.Fatalf("%s: the term is lost after %s: %v", what, time.Since(began), s.Cause())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	goesOn("all members")
	e.Stop(0)
	goesOn("a paused member")
	e.Cont(0)
	for i := range e.Endpoints() {
		m, err := c.client.Status(t.Context(), e.Endpoints()[i])
		if err == nil && m.Leader == m.Header.MemberId {
			e.Kill(i)
			break
		}
	}
	goesOn("a killed leader")
	if _, err := s.Load(t.Context()); err != nil {
		t.Error(err)
	}
}

// owners are all terms that any node has had.
type owners struct {
	mu  sync.Mutex
	all []*Store
}

func (o *owners) add(s *Store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, s)
}

func (o *owners) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

// check reports two terms that are owned at one instant. Owns stays false, so a term that is
// owned before and after an instant is owned then.
func (o *owners) check(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, a := range o.all {
		for _, b := range o.all[i+1:] {
			if a.Owns() && b.Owns() && a.Owns() {
				t.Errorf("two nodes own terms %d and %d at once", a.Term(), b.Term())
			}
		}
	}
}

// serveAgainAndAgain takes terms and keeps them until they are lost, or hands them over.
func serveAgainAndAgain(ctx context.Context, c *Cluster, o *owners, r *rand.Rand) {
	for {
		s, err := c.Take(ctx)
		if err != nil {
			return // the test is over
		}
		o.add(s)
		select {
		case <-s.Lost():
		case <-ctx.Done():
		case <-time.After(time.Duration(r.IntN(3000)) * time.Millisecond):
			_ = s.HandOver(ctx) // else Close ends the term, or it ends by itself
		}
		_ = s.Close()
	}
}

func TestTermHasOneOwnerWhateverHappensToTheWay(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	n := newNodes(t)
	ctx, cancel := context.WithCancel(t.Context())
	var o owners
	var nodes sync.WaitGroup
	var ways []*etcdtest.Proxy
	for i, name := range []string{"a", "b", "c"} {
		way := etcdtest.NewProxy(t, etcdtest.Shared(t).Endpoints()[0])
		ways = append(ways, way)
		c := n.join(name, way.Endpoint())
		nodes.Go(func() { serveAgainAndAgain(ctx, c, &o, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); {
		switch way := ways[r.IntN(len(ways))]; r.IntN(5) {
		case 0:
			way.Cut()
		case 1:
			way.Lose()
		case 2:
			way.Delay(time.Duration(r.IntN(2500)) * time.Millisecond)
		default:
			way.Mend()
		}
		for next := time.Now().Add(time.Duration(r.IntN(500)) * time.Millisecond); time.Now().Before(next); time.Sleep(time.Millisecond) {
			o.check(t)
		}
	}
	for _, way := range ways {
		way.Mend()
	}
	for end := time.Now().Add(30 * time.Second); o.count() < 3 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		o.check(t) // on a busy machine nine seconds may be too few
	}
	cancel()
	nodes.Wait()
	if len(o.all) < 3 {
		t.Errorf("only %d terms: the test shows little", len(o.all))
	}
	t.Logf("%d terms", len(o.all))
}

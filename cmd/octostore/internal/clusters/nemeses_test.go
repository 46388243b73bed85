package clusters_test

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// etcds returns how many nodes of etcd a test starts: as many as it needs, or more if asked.
func etcds(least int) int { return max(least, *etcdNodes) }

// afterLease bounds a gap of which clients see the end of a lease in etcd: the lease, and what a
// take and a busy machine need.
func afterLease() time.Duration { return lease() + 5*time.Second }

// The node that serves is killed, under load, and started again when another one serves.
func TestClusterOverKills(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: afterLease(), strike: func(r *round) {
		n := r.serving()
		n.avoided.Store(true)
		n.server.Kill()
		r.answered(5)
		r.restart(n)
	}}, 3)
}

// The node that serves is stopped in good order, and started again.
func TestClusterOverStops(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: goodOrder, strike: func(r *round) {
		n := r.serving()
		if err := n.server.Signal(syscall.SIGTERM); err != nil {
			r.t.Error(err)
		}
		state, err := n.server.Wait(octotest.Patient)
		if err != nil || state.ExitCode() != 0 {
			r.t.Errorf("%s: %v, %v", n.name, state, err)
		}
		n.avoided.Store(true)
		r.answered(5)
		r.restart(n)
	}}, 3)
}

// goodOrder bounds the gap of a stop in good order: generously, for a busy machine.
const goodOrder = 2 * time.Second

// The node that serves is paused for longer than its lease, and goes on: what it was asked
// before, it must not acknowledge now, and it must tell those who wait.
func TestClusterOverPauses(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: afterLease(), strike: func(r *round) {
		n := r.serving()
		w := r.park(n)
		n.avoided.Store(true)
		r.signal(n, syscall.SIGSTOP)
		r.answered(5) // by another one
		r.pause(lease())
		r.signal(n, syscall.SIGCONT)
		w.mustBeTold()
		n.avoided.Store(false)
	}}, 2)
}

// A pause that is about as long as the lease may end just before, while or just after another
// node takes the term.
func TestClusterOverPausesAboutTheLease(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: lease() + afterLease(), strike: func(r *round) {
		n := r.serving()
		n.avoided.Store(true)
		r.signal(n, syscall.SIGSTOP)
		time.Sleep(lease() - time.Second)
		r.pause(2 * time.Second)
		n.avoided.Store(false)
		r.signal(n, syscall.SIGCONT)
		r.answered(5)
	}}, 2)
}

func (r *round) signal(n *node, s syscall.Signal) {
	if err := n.server.Signal(s); err != nil {
		r.t.Errorf("%s: %v", n.name, err)
	}
}

// The lease of the node that serves is revoked behind its back, or its key deleted.
func TestClusterOverRevokes(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: afterLease(), strike: func(r *round) {
		own, err := r.own(), error(nil)
		if r.rng.IntN(2) == 0 {
			err = r.revoke(own.Lease)
		} else {
			err = r.remove("/octostore/p/00/own", "")
		}
		if err != nil {
			r.t.Error(err)
		}
		r.anotherTerm(own)
		r.answered(5)
	}}, 3)
}

// anotherTerm waits until the term is another one.
func (r *round) anotherTerm(than keyValue) {
	octotest.WaitWithin(r.t, recovery, "another term", func() bool {
		now := r.own()
		return now.CreateRevision > than.CreateRevision
	})
}

// The term is handed over while nothing is wrong, by the signal or by hand.
func TestClusterOverHandOvers(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: goodOrder, strike: func(r *round) {
		own := r.own()
		through := r.nodes[r.rng.IntN(nodes)]
		got := octotest.Call("POST", through.addr, "/v1/cluster/hand-over")
		if got.Err != nil || got.Status/100 != 2 {
			r.t.Errorf("hand over: %d %s, %v", got.Status, got.Body, got.Err)
		}
		r.anotherTerm(own)
		r.answered(5)
	}}, 3)
}

// The node that serves loses its way to etcd: all answers are lost, all connections are cut, or
// everything is late by more than the lease. Its clients still reach it.
func TestClusterOverPartitions(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: 2*lease() + afterLease(), strike: func(r *round) {
		n := r.serving()
		own := r.own()
		r.break_(n)
		r.anotherTerm(own)
		r.answered(5)
		r.pause(lease())
		for _, p := range n.proxies {
			p.Mend()
		}
	}}, 3)
}

// break_ takes the way to etcd from a node.
func (r *round) break_(n *node) {
	how := r.rng.IntN(3)
	for _, p := range n.proxies {
		switch how {
		case 0:
			p.Lose()
		case 1:
			p.Cut()
		default:
			p.Delay(lease() + time.Second)
		}
	}
}

// The way to etcd of all nodes is bad for a while: slow, cut now and then, and answers are lost
// so that outcomes are unknown. The term may stay or go.
func TestClusterOverBadNetworks(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: 3*lease() + afterLease(), strike: func(r *round) {
		for range 12 {
			for _, n := range r.nodes {
				for _, p := range n.proxies {
					r.disturb(p)
				}
			}
			r.pause(400 * time.Millisecond)
			r.eachProxy((*etcdtest.Proxy).Mend)
			r.pause(400 * time.Millisecond)
		}
	}}, 2)
}

func (r *round) disturb(p *etcdtest.Proxy) {
	switch r.rng.IntN(4) {
	case 0:
		p.Lose()
	case 1:
		p.Cut()
	case 2:
		p.Delay(time.Duration(r.rng.IntN(200)) * time.Millisecond)
	}
}

func (r *round) eachProxy(do func(*etcdtest.Proxy)) {
	for _, n := range r.nodes {
		for _, p := range n.proxies {
			do(p)
		}
	}
}

// The leader of etcd is killed, and started again.
func TestClusterOverEtcdLeaders(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(3)))
	survive(t, c, nemesis{most: lease() + afterLease(), strike: func(r *round) {
		i := r.leader()
		if i < 0 {
			r.t.Error("etcd has no leader")
			return
		}
		r.etcd.Kill(i)
		r.answered(20)
		r.etcd.Restart(i)
	}}, 2)
}

// Two of three nodes of etcd are gone: nothing is granted until one is back, and then it goes on
// by itself.
func TestClusterOverEtcdWithoutAMajority(t *testing.T) {
	c := start(t, etcdtest.Start(t, 3))
	const gone = 2 * time.Second
	survive(t, c, nemesis{most: gone + 2*lease() + afterLease() + 10*time.Second, strike: func(r *round) {
		first := r.rng.IntN(3)
		second := (first + 1 + r.rng.IntN(2)) % 3
		r.etcd.Kill(first)
		r.pause(time.Second)
		r.etcd.Kill(second)
		r.pause(gone + lease())
		r.etcd.Launch(second)
		r.etcd.Restart(first)
		r.etcd.Restart(second)
	}}, 1)
}

// etcd is paused for longer than the lease: the leases of etcd do not end meanwhile, but the node
// that serves must not trust its own.
func TestClusterOverEtcdPauses(t *testing.T) {
	c := start(t, etcdtest.Start(t, 1))
	survive(t, c, nemesis{most: 3*lease() + afterLease(), strike: func(r *round) {
		r.etcd.Stop(0)
		time.Sleep(lease())
		r.pause(lease())
		r.etcd.Cont(0)
	}}, 2)
}

// etcd's database is full: acquires are refused, and nothing else goes wrong. When a person has
// made room it goes on.
func TestClusterOverAFullEtcd(t *testing.T) {
	c := start(t, etcdtest.StartWith(t, etcdtest.Config{Nodes: 1, Quota: 24 << 20}))
	survive(t, c, nemesis{most: recovery, strike: func(r *round) {
		junk := bytes.Repeat([]byte("junk"), 256<<10)
		full := false
		for i := 0; i < 60 && !full; i++ {
			full = r.put(fmt.Sprintf("junk/%03d", i), junk) != nil
		}
		if !full {
			r.t.Error("etcd is not full")
		}
		r.pause(lease() + time.Second)
		if err := r.remove("junk/", "junk0"); err != nil {
			r.t.Error(err)
		}
		octotest.WaitWithin(r.t, recovery, "etcd has room again", func() bool { return r.clean() == nil })
	}}, 1)
}

// All nodes are killed at once, and started again in any order.
func TestClusterOverTheLossOfAllNodes(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: lease() + afterLease() + 10*time.Second, strike: func(r *round) {
		for _, n := range r.nodes {
			n.server.Kill()
		}
		order := slices.Clone(r.nodes[:])
		r.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, n := range order {
			r.restart(n)
		}
	}}, 1)
}

// Two things at once, at random.
func TestClusterOverEverythingAtOnce(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: recovery, strike: func(r *round) {
		n, paused := r.nodes[r.rng.IntN(nodes)], r.nodes[r.rng.IntN(nodes)]
		if r.rng.IntN(2) == 0 {
			n = r.serving()
		}
		r.eachProxy(r.disturb)
		paused.avoided.Store(true)
		r.signal(paused, syscall.SIGSTOP)
		r.pause(lease())
		if n != paused {
			n.server.Kill()
			r.restartLater(n)
		}
		r.pause(lease())
		r.eachProxy((*etcdtest.Proxy).Mend)
		r.signal(paused, syscall.SIGCONT)
		paused.avoided.Store(false)
		if n != paused {
			r.restart(n)
		}
	}}, 1)
}

// restartLater has requests go elsewhere until a node is started again.
func (r *round) restartLater(n *node) { n.avoided.Store(true) }

// A rolling restart: every node once, in good order, and nothing is refused meanwhile.
func TestClusterRollingRestart(t *testing.T) {
	c := start(t, etcdtest.Start(t, etcds(1)))
	survive(t, c, nemesis{most: goodOrder, strike: func(r *round) {
		for _, n := range r.nodes {
			r.signal(n, syscall.SIGTERM)
			if state, err := n.server.Wait(octotest.Patient); err != nil || state.ExitCode() != 0 {
				r.t.Errorf("%s: %v, %v", n.name, state, err)
			}
			n.avoided.Store(true)
			r.restart(n)
			octotest.WaitWithin(r.t, recovery, n.name+" is ready", n.ready)
		}
	}}, 1)
}

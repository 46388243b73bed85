package clusters_test

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// nemesis is what disturbs a cluster.
type nemesis struct {
	name   string
	rounds *int // how often, as the flag says; 0: as often as is usual
	usual  int  // rounds without flags; 0: with its flag only
	etcds  int  // members of etcd that it needs; 0: any number will do
	quota  int64
	// strike disturbs the cluster, and returns when that is over and mended. It may look at
	// whether clients are answered meanwhile.
	strike func(*round)
	// most is the longest time that clients may be without an answer.
	most func() time.Duration
	// orderly: no request to a node that stays may break, and no renewal or release have an unknown
	// outcome. A node that stops closes the connections that clients keep open, as curl does not.
	orderly bool
}

// asked are the flags of all nemeses.
var asked []*int

func rounds(name string) *int {
	n := flag.Int(name, 0, "rounds of this nemesis; with any such flag the others do not come")
	asked = append(asked, n)
	return n
}

var nemeses = []nemesis{
	{name: "kills", rounds: rounds("cluster.kills"), usual: 1, strike: kill, most: afterLease},
	{name: "stops", rounds: rounds("cluster.stops"), usual: 1, strike: stop, most: goodOrder, orderly: true},
	{name: "hand-overs", rounds: rounds("cluster.handovers"), usual: 1, strike: handOver, most: goodOrder, orderly: true},
	// Not orderly: a node that forwards closes connections that its clients keep open.
	{name: "rolling restarts", rounds: rounds("cluster.restarts"), strike: restartAll, most: goodOrder},
	{name: "kills of forwarding nodes", rounds: rounds("cluster.forwarders"), strike: killForwarder, most: afterLease},
	{name: "pauses", rounds: rounds("cluster.pauses"), usual: 1, strike: pause, most: afterLease},
	{name: "pauses about the lease", rounds: rounds("cluster.shortpauses"), strike: pauseAboutTheLease, most: twoLeases},
	{name: "revokes", rounds: rounds("cluster.revokes"), strike: revoke, most: afterLease},
	{name: "partitions", rounds: rounds("cluster.partitions"), usual: 1, strike: partition, most: threeLeases},
	{name: "bad networks", rounds: rounds("cluster.networks"), usual: 1, strike: disturbNetwork, most: threeLeases},
	{name: "losses of all nodes", rounds: rounds("cluster.losses"), strike: killAll, most: threeLeases},
	{name: "leaders of etcd", rounds: rounds("cluster.leaders"), etcds: 3, strike: killLeader, most: twoLeases},
	{name: "majorities of etcd", rounds: rounds("cluster.majorities"), etcds: 3, strike: killMajority, most: threeLeases},
	{name: "pauses of etcd", rounds: rounds("cluster.etcdpauses"), etcds: 1, strike: pauseEtcd, most: threeLeases},
	{name: "a full etcd", rounds: rounds("cluster.full"), etcds: 1, quota: smallQuota, strike: fillEtcd, most: wholeRecovery},
	{name: "several at once", rounds: rounds("cluster.several"), strike: strikeTwice, most: wholeRecovery},
}

// smallQuota is filled within a second. It holds a table of a few locks.
const smallQuota = 24 << 20

// Bounds of gaps, for a busy machine.
func goodOrder() time.Duration     { return 2 * time.Second }
func afterLease() time.Duration    { return lease() + 5*time.Second }
func twoLeases() time.Duration     { return 2*lease() + 5*time.Second }
func threeLeases() time.Duration   { return 3*lease() + 10*time.Second }
func wholeRecovery() time.Duration { return recovery }

// Clients of all nodes work while a nemesis strikes again and again. No lock is granted twice, no
// read is stale, tokens grow, and nothing that was acknowledged is lost.
func TestClusterUnderNemeses(t *testing.T) {
	if testing.Short() && !torture() {
		t.Skip("three nodes with the race detector take long to start")
	}
	shared := newShared(t)
	for _, n := range nemeses {
		if n.count() > 0 && !t.Failed() { // nobody has mended what is left of the cluster
			t.Run(n.name, func(t *testing.T) { survive(t, shared.cluster(t, n), n) })
		}
	}
}

// count returns how often a nemesis strikes.
func (n *nemesis) count() int {
	if torture() || *n.rounds > 0 {
		return *n.rounds
	}
	return n.usual
}

// torture reports whether flags say which nemeses come: then everything is as in production.
func torture() bool {
	return slices.ContainsFunc(asked, func(n *int) bool { return *n > 0 })
}

// shared are the clusters of a test, by what a nemesis needs of etcd.
type shared struct {
	t   *testing.T
	all map[string]*cluster
}

func newShared(t *testing.T) *shared { return &shared{t, map[string]*cluster{}} }

// cluster returns a cluster for a nemesis, which others may have had before.
func (s *shared) cluster(t *testing.T, n nemesis) *cluster {
	t.Helper()
	etcds := max(1, n.etcds)
	if n.etcds == 0 && *etcdNodes > 0 {
		etcds = *etcdNodes
	}
	key := fmt.Sprint(etcds, n.quota)
	if s.all[key] == nil {
		s.all[key] = start(s.t, etcdtest.StartWith(s.t, etcdtest.Config{Nodes: etcds, Quota: n.quota, Sync: torture()}))
	}
	c := s.all[key]
	c.t = t // whose failures are reported
	return c
}

// The node that serves is killed, under load, and started again when another one serves.
func kill(r *round) {
	n := r.serving()
	n.avoided.Store(true)
	n.server.Kill()
	r.answered(5)
	r.restart(n)
}

// The node that serves is stopped in good order, and started again.
func stop(r *round) {
	n := r.serving()
	n.leaving.Store(true)
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
}

// The node that serves is paused for longer than its lease, and goes on: what it was asked
// before, it must not acknowledge now, and it must tell those who wait.
func pause(r *round) {
	n := r.serving()
	w := r.park(n)
	n.avoided.Store(true)
	r.signal(n, syscall.SIGSTOP)
	r.answered(5) // by another one
	r.pause(lease())
	r.signal(n, syscall.SIGCONT)
	w.mustBeTold()
	n.avoided.Store(false)
}

// A pause that is about as long as the lease may end just before, while or just after another
// node takes the term.
func pauseAboutTheLease(r *round) {
	n := r.serving()
	n.avoided.Store(true)
	r.signal(n, syscall.SIGSTOP)
	time.Sleep(lease() - time.Second)
	r.pause(2 * time.Second)
	n.avoided.Store(false)
	r.signal(n, syscall.SIGCONT)
	r.answered(5)
}

func (r *round) signal(n *node, s syscall.Signal) {
	if err := n.server.Signal(s); err != nil {
		r.t.Errorf("%s: %v", n.name, err)
	}
}

// The lease of the node that serves is revoked behind its back, or its key deleted.
func revoke(r *round) {
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
}

// anotherTerm waits until the term is another one.
func (r *round) anotherTerm(than keyValue) {
	octotest.WaitWithin(r.t, recovery, "another term", func() bool {
		now := r.own()
		return now.CreateRevision > than.CreateRevision
	})
}

// The term is handed over while nothing is wrong, by the signal or by hand.
func handOver(r *round) {
	own := r.own()
	through := r.nodes[r.rng.IntN(nodes)]
	got := octotest.Call("POST", through.addr, "/v1/cluster/hand-over")
	if got.Err != nil || got.Status/100 != 2 {
		r.t.Errorf("hand over: %d %s, %v", got.Status, got.Body, got.Err)
	}
	r.anotherTerm(own)
	r.answered(5)
}

// The node that serves loses its way to etcd: all answers are lost, all connections are cut, or
// everything is late by more than the lease. Its clients still reach it.
func partition(r *round) {
	n := r.serving()
	own := r.own()
	r.cutOff(n)
	r.anotherTerm(own)
	r.answered(5)
	r.pause(lease())
	for _, p := range n.proxies {
		p.Mend()
	}
}

// cutOff takes the way to etcd from a node.
func (r *round) cutOff(n *node) {
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
func disturbNetwork(r *round) {
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
func killLeader(r *round) {
	i := r.leader()
	if i < 0 {
		r.t.Error("etcd has no leader")
		return
	}
	r.etcd.Kill(i)
	r.answered(20)
	r.etcd.Restart(i)
}

// Two of three nodes of etcd are gone: nothing is granted until one is back, and then it goes on
// by itself.
func killMajority(r *round) {
	first := r.rng.IntN(3)
	second := (first + 1 + r.rng.IntN(2)) % 3
	r.etcd.Kill(first)
	r.pause(time.Second)
	r.etcd.Kill(second)
	r.pause(2*time.Second + lease())
	r.etcd.Launch(second)
	r.etcd.Restart(first)
	r.etcd.Restart(second)
}

// etcd is paused for longer than the lease: the leases of etcd do not end meanwhile, but the node
// that serves must not trust its own.
func pauseEtcd(r *round) {
	r.etcd.Stop(0)
	time.Sleep(lease())
	r.pause(lease())
	r.etcd.Cont(0)
}

// etcd's database is full: acquires are refused, and nothing else goes wrong. When a person has
// made room it goes on.
func fillEtcd(r *round) {
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
}

// All nodes are killed at once, and started again in any order.
func killAll(r *round) {
	for _, n := range r.nodes {
		n.server.Kill()
	}
	order := slices.Clone(r.nodes[:])
	r.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, n := range order {
		r.restart(n)
	}
}

// Two things at once, at random.
func strikeTwice(r *round) {
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
}

// restartLater has requests go elsewhere until a node is started again.
func (r *round) restartLater(n *node) { n.avoided.Store(true) }

// A rolling restart: every node once, in good order, and nothing is refused meanwhile.
func restartAll(r *round) {
	for _, n := range r.nodes {
		r.signal(n, syscall.SIGTERM)
		if state, err := n.server.Wait(octotest.Patient); err != nil || state.ExitCode() != 0 {
			r.t.Errorf("%s: %v, %v", n.name, state, err)
		}
		n.avoided.Store(true)
		r.restart(n)
		octotest.WaitWithin(r.t, recovery, n.name+" is ready", n.ready)
	}
}

package clusters_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/lock/locktest"
)

// round is one disturbance of a cluster under load.
type round struct {
	*cluster
	rng     *rand.Rand
	probe   *probe
	history *locktest.History
}

// answered waits until the probe has so many more answers.
func (r *round) answered(more int) {
	r.t.Helper()
	from := r.probe.answered()
	octotest.WaitWithin(r.t, recovery, "clients are answered", func() bool { return r.probe.answered() >= from+more })
}

// pause waits for a moment of at most d, so that each round is another one.
func (r *round) pause(d time.Duration) { time.Sleep(time.Duration(r.rng.Int64N(int64(d)))) }

// survive disturbs a cluster again and again under load. Each round has a history that must be
// linearizable, and at its end every promise is looked at; the audit log is verified at the end.
func survive(t *testing.T, c *cluster, n nemesis) {
	rounds := n.count()
	s := newService(c, strings.ReplaceAll(n.name, " ", "-")+"/")
	defer s.client.CloseIdleConnections()
	p := newPromises(s)
	p.hold(held())
	pr := newProbe(s)
	var tried locktest.Coverage
	var gaps []time.Duration
	terms := map[int64]bool{}
	for i := range rounds {
		seed := *tortureSeed + uint64(i)
		r := &round{cluster: c, rng: rand.New(rand.NewPCG(seed, 0)), probe: pr, history: locktest.NewHistory()}
		terms[c.term()] = true
		gap := r.play(n, p, seed)
		gaps = append(gaps, gap)
		if gap > n.most() {
			t.Errorf("no client was answered for %s, more than %s", gap, n.most())
		}
		if broken := s.brokenSince(); n.orderly && len(broken) > 0 {
			t.Errorf("%d requests broke, the first: %s", len(broken), broken[0])
		}
		terms[c.term()] = true
		p.check()
		r.history.MustHold(t, fmt.Sprintf("%s of seed %d (time is real: it may take several runs)", t.Name(), seed))
		tried.Add(r.history.Cover())
		if t.Failed() {
			t.Fatalf("in round %d, of seed %d; the gaps: %s", i+1, seed, distribution(gaps))
		}
	}
	c.checkAudit(c.nodes[0], p.granted)
	t.Logf("%d rounds, %d terms, %s lease, %d locks held besides; %s", rounds, len(terms), lease(), len(p.held), distribution(gaps))
	t.Logf("%+v", p.tally)
	t.Logf("histories: %s", tried)
}

func held() int {
	switch {
	case *heldLocks > 0:
		return *heldLocks
	case torture():
		return 10_000
	}
	return 40
}

// play lets clients work, disturbs the cluster, waits until all nodes are ready again, and lets
// the clients work on for a moment. It returns the longest time without an answer.
func (r *round) play(n nemesis, p *promises, seed uint64) time.Duration {
	over := make(chan struct{})
	var load sync.WaitGroup
	defer func() {
		close(over)
		if r.t.Failed() {
			close(p.over) // nobody needs the answers
		}
		load.Wait()
	}()
	load.Go(func() { p.work(seed, over) })
	load.Go(func() { r.probe.work(over) })
	load.Go(func() {
		locktest.Workload{
			Seed: seed, Clients: 12, Locks: 6, Operations: 100_000, Pause: 40 * time.Millisecond,
			MinTTL: time.Second, MaxTTL: 2500 * time.Millisecond, MaxWait: 300 * time.Millisecond, Over: over,
		}.Run(r.history, p.service.in(seed))
	})
	r.answered(20)
	r.probe.longest()
	r.pause(time.Second)
	settled := r.history.Outage()
	n.strike(r)
	r.awaitReady()
	r.answered(20)
	settled()
	gap := r.probe.longest()
	time.Sleep(500 * time.Millisecond)
	r.pause(time.Second)
	return gap
}

// checkAudit exports the audit log through a node, and verifies that nothing is missing, that
// no lock was granted while it was held, and that every grant a client was told of is there.
func (c *cluster) checkAudit(n *node, granted []uint64) {
	c.t.Helper()
	file := c.t.TempDir() + "/audit.ndjson"
	for _, args := range [][]string{{"export", "-o", file}, {"verify", file}, {"replay", file}} {
		got := octotest.RunWith(c.t, []string{"OCTOSTORE_URL=http://" + n.addr}, append([]string{"audit"}, args...)...)
		if got.Code != 0 {
			c.t.Errorf("octostore audit %s: exit %d\n%s%s", args[0], got.Code, got.Stdout, got.Stderr)
			return
		}
	}
	found := grantsIn(c.t, file)
	for _, token := range granted {
		if !found[token] {
			c.t.Errorf("a client was granted token %d, which is not on record", token)
		}
	}
	c.t.Logf("%d grants are on record, of them %d that these clients were told of", len(found), len(granted))
}

// grantsIn returns the tokens of all grants in an export.
func grantsIn(t *testing.T, file string) map[uint64]bool {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[uint64]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if l, ok := record.Peek(lines.Bytes()); ok && l.Kind == lock.Granted {
			found[uint64(l.Seq)] = true
		}
	}
	return found
}

// octoWait waits for a condition of a service.
func octoWait(s *service, what string, true func() bool) {
	s.c.t.Helper()
	octotest.WaitWithin(s.c.t, recovery, what, true)
}

package clusters_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest/httplocktest"
	"github.com/octostore/octostore/transport/api"
)

// What the cluster is disturbed under, besides the workload whose history is checked: clients
// with locks of their own, whose leases last.
const (
	ownClients = 6
	ownLocks   = 8 // of each client
)

// promises is what the clients of one cluster were promised.
type promises struct {
	*service
	locks [ownClients][ownLocks]promised
	held  []api.Grant // locks that nobody touches

	mu      sync.Mutex
	newest  uint64   // greatest token seen
	granted []uint64 // every token that was acknowledged
	tally
}

// promised is what the client knows of one lock.
type promised struct {
	name    string
	grant   api.Grant // the newest
	held    bool      // acknowledged, and nothing else asked for since
	unknown bool      // the last request was not answered
}

// tally counts what happened.
type tally struct {
	grants, renewals, releases int // acknowledged
	kept, freed, unknown       int // locks looked at after a disturbance
	lost                       int // of the unknown: granted, and the client was not told
}

func newPromises(s *service) *promises {
	p := &promises{service: s}
	for i := range p.locks {
		for j := range p.locks[i] {
			p.locks[i][j].name = fmt.Sprintf("%sown/%d/%d", s.prefix, i, j)
		}
	}
	return p
}

// hold acquires so many locks, so that a take has something to read.
func (p *promises) hold(n int) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := i; j < n; j += 8 {
				lock := promised{name: fmt.Sprintf("%sheld/%d", p.prefix, j)}
				if p.acquire(&lock, "ttl=1h") {
					p.mu.Lock()
					p.held = append(p.held, lock.grant)
					p.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(p.held) != n {
		p.c.t.Errorf("%d locks are held, not %d", len(p.held), n)
	}
}

// work has the clients at work until the channel is closed.
func (p *promises) work(seed uint64, over <-chan struct{}) {
	var wg sync.WaitGroup
	for i := range p.locks {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				case <-time.After(time.Duration(rng.IntN(20)) * time.Millisecond):
					p.step(&p.locks[i][n%ownLocks], rng)
				}
			}
		})
	}
	wg.Wait()
}

// step does the next thing with a client's own lock.
func (p *promises) step(lock *promised, rng *rand.Rand) {
	switch {
	case lock.unknown:
		return // until somebody looks
	case !lock.held:
		p.acquire(lock, "ttl=10m")
	case rng.IntN(3) == 0:
		p.renew(lock)
	case rng.IntN(2) == 0:
		p.release(lock)
	}
}

func (p *promises) acquire(lock *promised, query string) bool {
	p.mu.Lock()
	before := p.newest
	p.mu.Unlock()
	a, err := p.ask(context.Background(), "POST", httplocktest.Path(lock.name, "/acquire?"+query))
	if !p.acknowledged(lock, "acquire", a, err) {
		return false
	}
	g := read[api.Grant](p.service, a)
	if g.FencingToken <= before || g.FencingToken <= lock.grant.FencingToken {
		p.c.t.Errorf("%s: %s grants token %d after %d", lock.name, a.node.name, g.FencingToken, max(before, lock.grant.FencingToken))
	}
	lock.grant, lock.held = g, true
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newest = max(p.newest, g.FencingToken)
	p.granted = append(p.granted, g.FencingToken)
	p.grants++
	return true
}

func (p *promises) renew(lock *promised) {
	a, err := p.ask(context.Background(), "POST", httplocktest.Path(lock.name, "/renew"), api.HeaderLease, lock.grant.LeaseID)
	if p.acknowledged(lock, "renew", a, err) {
		p.count(&p.renewals)
		return
	}
	lock.unknown = false // it is held either way
}

func (p *promises) release(lock *promised) {
	lock.held = false
	a, err := p.ask(context.Background(), "POST", httplocktest.Path(lock.name, "/release"), api.HeaderLease, lock.grant.LeaseID)
	if p.acknowledged(lock, "release", a, err) {
		p.count(&p.releases)
	} else {
		lock.held = !lock.unknown
	}
}

func (p *promises) count(n *int) {
	p.mu.Lock()
	*n++
	p.mu.Unlock()
}

// acknowledged reports whether a request was done. If its outcome is not known, the lock's is
// not either. No client but this one touches the lock, so nothing else may be answered.
func (p *promises) acknowledged(lock *promised, what string, a answer, err error) bool {
	switch {
	case err == nil && a.Status == http.StatusOK:
		return true
	case refused(a.Answer, err):
		return false
	case err != nil, a.Problem.Code == api.CodeOutcomeUnknown, a.Problem.Code == api.CodeTooLate:
		lock.unknown = true
		return false
	}
	p.c.t.Errorf("%s %s: %s answers %d %s", what, lock.name, a.node.name, a.Status, a.Body)
	lock.unknown = true
	return false
}

// check holds the cluster to every promise: acknowledged leases are there and can be renewed,
// released locks are free. What became of requests without an answer it looks up, and gives
// those locks back.
func (p *promises) check() {
	for i := range p.locks {
		for j := range p.locks[i] {
			p.checkOne(&p.locks[i][j])
		}
	}
	for _, g := range p.sample() {
		p.checkKept(&promised{name: g.Name, grant: g}, p.look(g.Name))
	}
}

// sample returns a few of the locks that nobody touches.
func (p *promises) sample() []api.Grant {
	if len(p.held) <= 50 {
		return p.held
	}
	from := rand.IntN(len(p.held) - 50)
	return p.held[from : from+50]
}

func (p *promises) look(name string) api.Lock {
	a, err := p.ask(context.Background(), "GET", httplocktest.Path(name, ""))
	if err != nil || a.Status != http.StatusOK {
		p.c.t.Errorf("get %s: %d %s, %v", name, a.Status, a.Body, err)
		return api.Lock{}
	}
	return read[api.Lock](p.service, a)
}

func (p *promises) checkOne(lock *promised) {
	l := p.look(lock.name)
	switch {
	case lock.unknown:
		p.settle(lock, l)
	case lock.held:
		p.kept++
		p.checkKept(lock, l)
	default:
		p.freed++
		if l.Lease != nil {
			p.c.t.Errorf("%s: released, and it is back: %+v", lock.name, l.Lease)
		}
	}
}

func (p *promises) checkKept(lock *promised, l api.Lock) {
	if l.Lease == nil || l.Lease.FencingToken != lock.grant.FencingToken {
		p.c.t.Errorf("%s: acknowledged token %d is forgotten: %+v", lock.name, lock.grant.FencingToken, l.Lease)
		return
	}
	a, err := p.ask(context.Background(), "POST", httplocktest.Path(lock.name, "/renew"), api.HeaderLease, lock.grant.LeaseID)
	if err != nil || a.Status != http.StatusOK {
		p.c.t.Errorf("%s: its holder cannot renew it: %d %s, %v", lock.name, a.Status, a.Body, err)
	}
}

// settle looks what became of a request that was not answered. Either it was done or not; then
// the lock is given back.
func (p *promises) settle(lock *promised, l api.Lock) {
	p.unknown++
	lock.held, lock.unknown = false, false
	if l.Lease == nil {
		return
	}
	if l.Lease.FencingToken < lock.grant.FencingToken {
		p.c.t.Errorf("%s: an older lease is back: %+v", lock.name, l.Lease)
	}
	if l.Lease.FencingToken > lock.grant.FencingToken {
		p.lost++
	}
	p.newest = max(p.newest, l.Lease.FencingToken)
	a, err := p.ask(context.Background(), "POST", httplocktest.Path(lock.name, "/break?reason=no+client+was+told"))
	if err != nil || a.Status != http.StatusOK && a.Problem.Code != api.CodeNotHeld {
		p.c.t.Errorf("break %s: %d %s, %v", lock.name, a.Status, a.Body, err)
	}
}

// probe renews one lease again and again, through all nodes, and keeps the longest time without
// an answer. No renewal may be refused.
type probe struct {
	*service
	lock api.Grant

	mu   sync.Mutex
	last time.Time // when the last renewal was answered
	gap  time.Duration
	done int
}

// newProbe acquires the lease.
func newProbe(s *service) *probe {
	lock := promised{name: s.prefix + "probe"}
	p := newPromises(s)
	octoWait(s, "the probe has its lock", func() bool { return p.acquire(&lock, "ttl=1h") })
	return &probe{service: s, lock: lock.grant, last: time.Now()}
}

// work probes until the channel is closed.
func (p *probe) work(over <-chan struct{}) {
	for turn := 0; ; turn++ {
		select {
		case <-over:
			return
		default:
			p.renew(p.c.nodes[turn%nodes])
		}
	}
}

func (p *probe) renew(n *node) {
	if n.avoided.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	a, err := p.once(ctx, n, "POST", httplocktest.Path(p.lock.Name, "/renew"), api.HeaderLease, p.lock.LeaseID)
	switch {
	case err == nil && a.Status == http.StatusOK:
		p.mu.Lock()
		p.gap = max(p.gap, a.Received.Sub(p.last))
		p.last = a.Received
		p.done++
		p.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	case err == nil && a.Status == http.StatusConflict:
		p.c.t.Errorf("%s refuses to renew a lease that nobody ended: %s", n.name, a.Body)
		time.Sleep(comeBack)
	default:
		time.Sleep(comeBack / 5)
	}
}

// longest returns the longest time without an answer since the last call.
func (p *probe) longest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	gap := p.gap
	p.gap = 0
	return gap
}

// answered returns how many renewals were answered.
func (p *probe) answered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// distribution describes gaps in one line.
func distribution(gaps []time.Duration) string {
	if len(gaps) == 0 {
		return "no gaps"
	}
	sorted := slices.Sorted(slices.Values(gaps))
	at := func(percent int) time.Duration {
		return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(time.Millisecond)
	}
	return fmt.Sprintf("%d gaps: median %s, 90 %% %s, 99 %% %s, worst %s",
		len(sorted), at(50), at(90), at(99), sorted[len(sorted)-1].Round(time.Millisecond))
}

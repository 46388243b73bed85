package faults_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// What the server is killed under: clients with locks of their own, and waiters who
// hand a few locks along.
const (
	crashClients  = 32
	crashOwnLocks = 10 // of each client
	crashWaiters  = 100
	crashShared   = 5  // locks the waiters share
	leastGrants   = 50 // before a server is killed
)

// The server is killed again and again while clients acquire, renew, release and
// wait. After every start: acknowledged leases are there and their holders can renew
// them, released locks stay free, every token is greater than all before, and the queues
// are empty.
func TestKillUnderLoadKeepsEveryPromise(t *testing.T) {
	rounds := octotest.HowMany(*tortureKills, 12, 2)
	dir := t.TempDir()
	c := &crashCheck{t: t, locks: map[string]*promised{}}
	for round := range rounds {
		server := octotest.Start(t, dir)
		c.url = "http://" + server.Addr
		c.check()
		c.load(round, server.Kill)
		if t.Failed() {
			t.Fatalf("after %d kills", round+1)
		}
	}
	server := octotest.Start(t, dir)
	c.url = "http://" + server.Addr
	c.check()
	if c.grants < leastGrants*rounds || c.handed < crashShared*rounds || c.kept == 0 || c.freed == 0 || c.unknown == 0 {
		t.Errorf("the load tries too little: %+v", c.tally)
	}
	if !server.CheckAudit(t, dir) {
		t.Error("the journal does not reach back to its beginning")
	}
	t.Logf("%d kills: %+v", rounds, c.tally)
}

// promised is what the clients know of one lock.
type promised struct {
	mu      sync.Mutex
	grant   api.Grant // the newest
	held    bool      // acknowledged, and nothing else asked for since
	free    bool      // acknowledged
	unknown bool      // the last request was not answered, or a client waits
}

// tally counts what happened.
type tally struct {
	grants, handed       int // acknowledged, and those of them to waiters
	kept, freed, unknown int // locks checked after a start
	lost                 int // of the unknown: granted, and the client was not told
}

// crashCheck is the clients and what they were promised.
type crashCheck struct {
	t     *testing.T
	url   string
	floor uint64 // every token of this load has to be greater

	mu     sync.Mutex
	locks  map[string]*promised
	newest uint64 // greatest token seen
	tally
}

// load has clients at work until the server is killed under them.
func (c *crashCheck) load(round int, kill func()) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crashClients + crashWaiters}, Timeout: 40 * time.Second}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for n := range crashClients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(n)))
			for i := 0; c.step(client, fmt.Sprintf("own/%d/%d", n, i%crashOwnLocks), rng); i++ {
			}
		})
	}
	for n := range crashWaiters {
		wg.Go(func() {
			for name := fmt.Sprintf("shared/%d", n%crashShared); c.takeTurn(client, name); {
			}
		})
	}
	c.await(100+rand.IntN(1000), crashShared)
	kill()
	wg.Wait()
}

// await returns after so many more grants, so that every load is killed at another
// moment of its work. On a slow machine it is content with fewer, of which some must
// have been handed along.
func (c *crashCheck) await(grants, handed int) {
	c.mu.Lock()
	was := c.tally
	c.mu.Unlock()
	began := time.Now()
	for ; time.Since(began) < octotest.Patient; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		grown := tally{grants: c.grants - was.grants, handed: c.handed - was.handed}
		c.mu.Unlock()
		enough := grown.grants >= leastGrants && grown.handed >= handed
		if enough && (grown.grants >= grants || time.Since(began) > 2*time.Second) {
			return
		}
	}
}

// of returns what is known of a lock.
func (c *crashCheck) of(name string) *promised {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.locks[name]
	if p == nil {
		p = &promised{}
		c.locks[name] = p
	}
	return p
}

// step does the next thing with a client's own lock; false means the server is gone.
func (c *crashCheck) step(client *http.Client, name string, rng *rand.Rand) bool {
	p := c.of(name)
	switch {
	case !p.held:
		p.free, p.unknown = false, true
		return c.acquire(client, name, "ttl=10m", p)
	case rng.IntN(3) == 0:
		return c.renew(client, name, p)
	case rng.IntN(2) == 0:
		return c.release(client, name, p, true)
	}
	return true // goes on holding it
}

// takeTurn waits for a shared lock and passes it on; false means the server is gone.
// Between a release and the next grant that is acknowledged, its holder is unknown.
func (c *crashCheck) takeTurn(client *http.Client, name string) bool {
	p := c.of(name)
	if !c.acquire(client, name, "ttl=10m&wait=30s", p) {
		return false
	}
	c.mu.Lock()
	c.handed++
	c.mu.Unlock()
	return c.release(client, name, p, false)
}

func (c *crashCheck) acquire(client *http.Client, name, query string, p *promised) bool {
	var g api.Grant
	status, err := c.post(client, name+"/acquire?"+query, "", &g)
	if err != nil {
		return false
	}
	if status != 200 {
		c.t.Errorf("acquire %s: %d", name, status)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.FencingToken <= p.grant.FencingToken || g.FencingToken <= c.floor {
		c.t.Errorf("%s: token %d after %d, and %d before the start", name, g.FencingToken, p.grant.FencingToken, c.floor)
	}
	p.grant, p.held, p.free, p.unknown = g, true, false, false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest = max(c.newest, g.FencingToken)
	c.grants++
	return true
}

func (c *crashCheck) renew(client *http.Client, name string, p *promised) bool {
	status, err := c.post(client, name+"/renew", p.grant.LeaseID, nil)
	if err == nil && status != 200 {
		c.t.Errorf("renew %s: %d", name, status)
	}
	return err == nil // the lease is held either way
}

// release gives a lock back, which then is free if no other client wants it.
func (c *crashCheck) release(client *http.Client, name string, p *promised, alone bool) bool {
	p.mu.Lock()
	p.held, p.unknown = false, true
	lease := p.grant.LeaseID
	p.mu.Unlock()
	status, err := c.post(client, name+"/release", lease, nil)
	if err != nil {
		return false
	}
	if status != 200 {
		c.t.Errorf("release %s: %d", name, status)
	}
	if alone {
		p.free, p.unknown = true, false
	}
	return true
}

func (c *crashCheck) post(client *http.Client, path, lease string, into any) (int, error) {
	req, err := http.NewRequest("POST", c.url+"/v1/locks/"+path, nil)
	if err != nil {
		c.t.Error(err)
		return 0, err
	}
	if lease != "" {
		req.Header.Set(api.HeaderLease, lease)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if (octotest.Answer{Status: resp.StatusCode, Body: string(body)}).DiskTooSlow() {
		return resp.StatusCode, errors.New("the disk was too slow") // as good as no answer
	}
	if into != nil && resp.StatusCode == 200 {
		err = json.Unmarshal(body, into)
	}
	return resp.StatusCode, err
}

// check holds the server to every promise, and makes the next load start clean.
func (c *crashCheck) check() {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for name, p := range c.locks {
		l := c.get(client, name)
		if l.WaitersTotal != 0 {
			c.t.Errorf("%s: %d wait, whose connections are gone", name, l.WaitersTotal)
		}
		switch {
		case p.held:
			c.checkKept(client, name, p, l)
		case p.free:
			c.freed++
			if l.Lease != nil {
				c.t.Errorf("%s: released, and it is back: %+v", name, l.Lease)
			}
		case p.unknown:
			c.settle(client, name, p, l)
		}
	}
	var fresh api.Grant
	name := fmt.Sprintf("fresh/%d", time.Now().UnixNano())
	if status, err := c.post(client, name+"/acquire", "", &fresh); status != 200 || fresh.FencingToken <= c.newest {
		c.t.Errorf("after a restart token %d is granted, %d was seen before (%d, %v)", fresh.FencingToken, c.newest, status, err)
	}
	c.newest = max(c.newest, fresh.FencingToken)
	c.floor = c.newest
}

func (c *crashCheck) checkKept(client *http.Client, name string, p *promised, l api.Lock) {
	c.kept++
	if l.Lease == nil || l.Lease.FencingToken != p.grant.FencingToken {
		c.t.Errorf("%s: acknowledged token %d is forgotten: %+v", name, p.grant.FencingToken, l.Lease)
		return
	}
	if status, err := c.post(client, name+"/renew", p.grant.LeaseID, nil); status != 200 {
		c.t.Errorf("%s: its holder cannot renew it: %d, %v", name, status, err)
	}
}

// settle looks what became of a request that was not answered. Either it happened or
// it did not; then the lock is given back, so that the next load knows where it is.
func (c *crashCheck) settle(client *http.Client, name string, p *promised, l api.Lock) {
	c.unknown++
	p.free, p.unknown = true, false
	if l.Lease == nil {
		return
	}
	c.newest = max(c.newest, l.Lease.FencingToken)
	if l.Lease.FencingToken < p.grant.FencingToken {
		c.t.Errorf("%s: an older lease is back: %+v", name, l.Lease)
	}
	if l.Lease.FencingToken > p.grant.FencingToken {
		c.lost++
	}
	if status, err := c.post(client, name+"/break?reason=no+client+was+told", "", nil); status != 200 {
		c.t.Errorf("break %s: %d, %v", name, status, err)
	}
}

func (c *crashCheck) get(client *http.Client, name string) (l api.Lock) {
	resp, err := client.Get(c.url + "/v1/locks/" + name)
	if err != nil {
		c.t.Error(err)
		return l
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
		c.t.Error(err)
	}
	return l
}

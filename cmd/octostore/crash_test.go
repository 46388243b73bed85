package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// The server is killed again and again while clients acquire, renew, release and
// vanish. After every start: what was acknowledged is there, what was given back
// stays free, and every token is greater than all before.
func TestKilledUnderLoadItKeepsEveryPromise(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	c := &crashCheck{t: t, locks: map[string]*promised{}}
	for round := range rounds {
		server := newProcess(t, dir)
		c.url = "http://" + server.Addr
		c.check()
		c.load(round, func() { server.kill() })
	}
	server := newProcess(t, dir)
	c.url = "http://" + server.Addr
	c.check()
	if c.grants < 100 || c.kept == 0 || c.freed == 0 || c.unknown == 0 {
		t.Errorf("the load tries too little: %d grants; checked %d kept, %d freed, %d unknown", c.grants, c.kept, c.freed, c.unknown)
	}
}

// promised is what the clients know of one lock. Each lock belongs to one client.
type promised struct {
	grant   api.Grant
	held    bool // acknowledged, and nothing else asked for since
	free    bool // acknowledged
	unknown bool // the last request was not answered
}

// crashCheck is the clients and what they were promised.
type crashCheck struct {
	t   *testing.T
	url string

	mu                           sync.Mutex
	locks                        map[string]*promised
	newest                       uint64 // greatest token seen
	grants, kept, freed, unknown int
}

// load has clients at work until the server is killed under them.
func (c *crashCheck) load(round int, kill func()) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(n)))
			for i := 0; c.step(client, fmt.Sprintf("r%d/c%d/l%d", round, n, i%40), rng); i++ {
			}
		})
	}
	time.Sleep(time.Duration(150+rand.IntN(250)) * time.Millisecond) // the load is the condition here, not luck
	kill()
	wg.Wait()
}

// step does the next thing with a lock; false means the server is gone.
func (c *crashCheck) step(client *http.Client, name string, rng *rand.Rand) bool {
	c.mu.Lock()
	p := c.locks[name]
	if p == nil {
		p = &promised{}
		c.locks[name] = p
	}
	c.mu.Unlock()
	switch {
	case !p.held:
		return c.acquire(client, name, p)
	case rng.IntN(3) == 0:
		return c.renew(client, name, p)
	case rng.IntN(2) == 0:
		return c.release(client, name, p)
	}
	return true // goes on holding it
}

func (c *crashCheck) acquire(client *http.Client, name string, p *promised) bool {
	p.held, p.free, p.unknown = false, false, true
	var g api.Grant
	if status, err := c.post(client, name+"/acquire?ttl=10m", "", &g); err != nil || status != 200 {
		if err == nil {
			c.t.Errorf("acquire %s: %d", name, status)
		}
		return err == nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.FencingToken <= p.grant.FencingToken {
		c.t.Errorf("%s: token %d after %d", name, g.FencingToken, p.grant.FencingToken)
	}
	p.grant, p.held, p.unknown = g, true, false
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

func (c *crashCheck) release(client *http.Client, name string, p *promised) bool {
	p.held, p.unknown = false, true
	status, err := c.post(client, name+"/release", p.grant.LeaseID, nil)
	if err != nil {
		return false
	}
	if status != 200 {
		c.t.Errorf("release %s: %d", name, status)
	}
	p.free, p.unknown = true, false
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
		switch {
		case p.held:
			c.kept++
			if l.Lease == nil || l.Lease.FencingToken != p.grant.FencingToken {
				c.t.Errorf("%s: acknowledged token %d is forgotten: %+v", name, p.grant.FencingToken, l.Lease)
				continue
			}
			if status, err := c.post(client, name+"/renew", p.grant.LeaseID, nil); status != 200 {
				c.t.Errorf("%s: its holder cannot renew it: %d, %v", name, status, err)
			}
		case p.free:
			c.freed++
			if l.Lease != nil {
				c.t.Errorf("%s: released, and it is back: %+v", name, l.Lease)
			}
		case p.unknown:
			c.unknown++
			if l.Lease != nil && l.Lease.FencingToken < p.grant.FencingToken {
				c.t.Errorf("%s: an older lease is back: %+v", name, l.Lease)
			}
		}
	}
	var fresh api.Grant
	name := fmt.Sprintf("fresh/%d", time.Now().UnixNano())
	if status, err := c.post(client, name+"/acquire", "", &fresh); status != 200 || fresh.FencingToken <= c.newest {
		c.t.Errorf("after a restart token %d is granted, %d was seen before (%d, %v)", fresh.FencingToken, c.newest, status, err)
	}
	c.newest = max(c.newest, fresh.FencingToken)
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

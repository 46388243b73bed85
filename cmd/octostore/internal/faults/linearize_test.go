package faults_test

import (
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock/locktest"
)

var (
	histories   = flag.Int("linearize.histories", 10, "how many histories to check")
	historySeed = flag.Uint64("linearize.seed", 1, "seed of the first history")
)

// TestHistoriesOverKillsAreLinearizable has clients work on the real server over HTTP while it is killed
// and started again, and looks for an order of events that explains everything they
// were told.
func TestHistoriesOverKillsAreLinearizable(t *testing.T) {
	n := *histories
	if testing.Short() {
		n = min(n, 1)
	}
	var mu sync.Mutex
	var tried locktest.Coverage
	var running sync.WaitGroup
	atOnce := make(chan struct{}, 10) // they mostly wait for leases to lapse
	for i := range n {
		atOnce <- struct{}{}
		running.Go(func() {
			defer func() { <-atOnce }()
			seed := *historySeed + uint64(i)
			h := recordHistory(t, seed)
			if h.Len() < operations {
				t.Errorf("the history of seed %d has only %d operations", seed, h.Len())
			}
			h.MustHold(t, fmt.Sprintf("go test ./cmd/octostore/internal/faults -run OverKillsAreLinearizable -linearize.histories 1 -linearize.seed %d"+
				" (the same workload, but time is real: it may take several runs)", seed))
			mu.Lock()
			defer mu.Unlock()
			tried.Add(h.Cover())
		})
	}
	running.Wait()
	t.Logf("%d histories, %s", n, tried)
	tried.MustBeComplete(t)
}

// operations is how many a history has at least.
const operations = 2000

// recordHistory runs one workload against a server of its own.
func recordHistory(t *testing.T, seed uint64) *locktest.History {
	h := locktest.NewHistory()
	s := &overHTTP{t: t, dir: t.TempDir(), history: h}
	s.client = newImpatientClient()
	defer s.client.CloseIdleConnections()
	if !s.start() {
		return h
	}
	defer func() { s.server.Kill() }()
	const kills = 2
	done := make(chan struct{})
	go func() {
		defer close(done)
		locktest.Workload{
			Seed: seed, Clients: 16, Locks: 6, Operations: operations, Pause: 40 * time.Millisecond,
			MinTTL: time.Second, MaxTTL: 1500 * time.Millisecond, MaxWait: 200 * time.Millisecond,
		}.Run(h, s.locks())
	}()
	for kill := 1; kill <= kills; kill++ {
		for h.Len() < operations*kill/(kills+1) {
			time.Sleep(time.Millisecond)
		}
		if !s.killAndRestart() {
			break
		}
	}
	<-done
	if s.server != nil {
		s.server.CheckAudit(t, s.dir)
	}
	return h
}

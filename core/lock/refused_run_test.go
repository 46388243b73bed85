package lock

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	refusedSeeds = flag.Int("refused.seeds", 1000, "number of random runs of TestRefusedBatches")
	refusedFirst = flag.Uint64("refused.first", 1, "seed of the first of them")
	refusedShow  = flag.Bool("refused.show", false, "print what happens; use it with -refused.seeds 1")
)

// TestRefusedBatches runs the machine with batches of several commands, which come at
// different instants and of which many are refused for lack of space: requests that share
// a key, departures, policies at the turn, quotas, small queues, breaks, takes, restarts
// and a drain. It plays the loop, the store and the clients itself, so it reaches orders
// of events that the table would need a rare coincidence for. The same seed gives the same
// run.
func TestRefusedBatches(t *testing.T) {
	seeds := *refusedSeeds
	if testing.Short() {
		seeds = min(seeds, 300)
	}
	refused, ofSeveral := 0, 0
	for seed := *refusedFirst; seed < *refusedFirst+uint64(seeds); seed++ {
		w := newRefusedWorld(t, seed)
		w.run()
		if *refusedShow {
			for _, line := range w.said {
				t.Log(line)
			}
		}
		if w.failed {
			t.Fatalf("go test ./core/lock -run RefusedBatches -v -refused.first %d -refused.seeds 1 -refused.show shows it", seed)
		}
		refused, ofSeveral = refused+w.refused, ofSeveral+w.refusedOfSeveral
	}
	t.Logf("%d seeds: %d refused batches, %d of them of several commands", seeds, refused, ofSeveral)
	if seeds >= 300 && ofSeveral < seeds {
		t.Errorf("only %d batches of several commands were refused: the run tries too little", ofSeveral)
	}
}

// newRefusedWorld draws the limits of a run, how full its disk is, and its clients.
func newRefusedWorld(t *testing.T, seed uint64) *refusedWorld {
	w := &refusedWorld{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 11)), now: time.Unix(0, 0),
		rows: map[Name]Row{}, ended: map[Token]bool{},
	}
	w.cfg = Rules{MaxWaiters: pick(w, 2, 3, 100), MaxWaitersPerLock: pick(w, 1, 2, 3, 50)}
	if w.oneIn(3) {
		w.cfg.Level = All
	}
	if w.oneIn(3) {
		w.cfg.MaxPerAccount = 1 + w.rng.IntN(3)
	}
	if w.oneIn(4) {
		w.cfg.MaxWaitersPerAccount = 1 + w.rng.IntN(2)
	}
	w.percentFull = pick(w, 0, 20, 50, 80)
	w.priorities = w.oneIn(2)
	for i := range 3 + w.rng.IntN(5) {
		account := []string{"a", "a", "b"}[i%3]
		w.clients = append(w.clients, &refusedClient{world: w, id: i, account: account})
	}
	w.restart()
	return w
}

// run lets the clients do as they like for a while, then lets everything come to an end.
func (w *refusedWorld) run() {
	for range 20 + w.rng.IntN(80) {
		w.sleep()
		for range 1 + w.rng.IntN(10) {
			pick(w, w.clients...).act()
			if w.oneIn(3) { // commands of one batch come at different instants
				w.pass(700 * time.Millisecond)
			}
		}
		w.step(true)
		if w.failed {
			return
		}
		if w.oneIn(150) {
			w.say("restart")
			w.restart()
		}
	}
	if w.oneIn(4) {
		w.say("drain")
		w.put(newCommand(DoDrain, "", Origin{}))
		w.batch(w.oneIn(2))
	}
	w.end()
}

// end lets time pass without new requests and with space on the disk. Then nothing may be
// left: no lease, no waiter, no deadline, and no request without an answer.
func (w *refusedWorld) end() {
	for range 400 {
		w.now = w.now.Add(500 * time.Millisecond)
		for _, c := range w.clients {
			c.readAll()
			if c.called {
				c.claim()
			}
		}
		w.step(false)
		if w.failed {
			return
		}
	}
	for c, by := range w.asked {
		if by.request == c {
			w.wrong("client %d is never answered about %s", by.id, c.Name)
		}
	}
	for _, what := range w.others {
		w.wrong("a %s is never answered", what)
	}
	if m := w.m; m.held+m.waiting+len(m.entries)+m.schedule.len() != 0 {
		w.wrong("left over: %d held, %d waiting, %d entries, %d deadlines", m.held, m.waiting, len(m.entries), m.schedule.len())
	}
}

// sleep lets some time pass, now and then more than a lease lasts.
func (w *refusedWorld) sleep() {
	switch w.rng.IntN(8) {
	case 0:
		w.pass(12 * time.Second)
	case 1, 2, 3:
		w.pass(1200 * time.Millisecond)
	}
}

func (w *refusedWorld) pass(most time.Duration) {
	w.now = w.now.Add(time.Duration(w.rng.Int64N(most.Milliseconds())) * time.Millisecond)
}

func (w *refusedWorld) oneIn(n int) bool { return w.rng.IntN(n) == 0 }

func pick[T any](w *refusedWorld, of ...T) T { return of[w.rng.IntN(len(of))] }

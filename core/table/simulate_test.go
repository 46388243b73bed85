package table_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

var (
	seeds    = flag.Int("simulate.seeds", 1000, "how many seeds to simulate")
	oneSeed  = flag.Uint64("simulate.seed", 0, "simulate only this seed, and show what happens")
	firstOne = flag.Uint64("simulate.first", 1, "the first seed")
)

// TestSimulation runs the real table and journal in virtual time on a store that
// fails and with clients that misbehave, each run drawn from a seed. During a run and
// after it the world checks what the clients were told against each other and against
// the record. The same seed gives the same run.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		simulate(t, *oneSeed, true)
		return
	}
	n := *seeds
	if testing.Short() {
		n = min(n, 50)
	}
	var seen sums
	for seed := *firstOne; seed < *firstOne+uint64(n); seed++ {
		seen.add(simulate(t, seed, false))
		if t.Failed() {
			t.Fatalf("seed %d; go test ./core/table -run Simulation -v -simulate.seed %d shows it", seed, seed)
		}
	}
	t.Logf("%d seeds: %s", n, seen)
	seen.mustHaveTried(t)
}

func TestSimulationSeedReplaysExactly(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := simulate(t, seed, false), simulate(t, seed, false)
		if a.trace != b.trace {
			t.Errorf("seed %d gave two different runs", seed)
		}
	}
}

// sums counts what the runs tried, because a checker is worth what its workload
// tries.
type sums struct {
	trace                                                               uint64
	grants, repeats, undos, gone, unknown, full, restarts, late, denied int
	stale, renewals, events                                             int
	unconfirmed, confirmed, lostAgain                                   int
	front, back                                                         int // grants with these priorities
	byKey                                                               int // releases by an idempotency key
}

func (s *sums) add(r sums) {
	s.grants += r.grants
	s.repeats += r.repeats
	s.undos += r.undos
	s.gone += r.gone
	s.unknown += r.unknown
	s.full += r.full
	s.restarts += r.restarts
	s.late += r.late
	s.denied += r.denied
	s.stale += r.stale
	s.renewals += r.renewals
	s.events += r.events
	s.unconfirmed += r.unconfirmed
	s.confirmed += r.confirmed
	s.lostAgain += r.lostAgain
	s.front += r.front
	s.back += r.back
	s.byKey += r.byKey
}

func (s sums) String() string {
	return fmt.Sprintf("%d events, %d grants, %d repeats, %d undone, %d abandoned waits, %d unknown outcomes, %d refused for space, %d restarts, %d too late, %d denied at their turn, %d stale releases refused, %d renewals, %d leases confirmed, %d not in time, %d lost with more than one answer, %d grants from the front and %d from the back, %d released by their keys",
		s.events, s.grants, s.repeats, s.undos, s.gone, s.unknown, s.full, s.restarts, s.late, s.denied, s.stale, s.renewals, s.confirmed, s.unconfirmed, s.lostAgain, s.front, s.back, s.byKey)
}

func (s sums) mustHaveTried(t *testing.T) {
	for what, n := range map[string]int{
		"grants": s.grants, "repeats": s.repeats, "undos": s.undos, "abandoned waits": s.gone, "unknown outcomes": s.unknown,
		"refusals for space": s.full, "restarts": s.restarts, "denials": s.denied, "stale releases": s.stale, "renewals": s.renewals,
		"confirmations": s.confirmed, "leases that were not confirmed in time": s.unconfirmed,
		"leases lost with more than one answer": s.lostAgain, "grants from the front": s.front, "grants from the back": s.back,
		"releases by a key": s.byKey,
	} {
		if n == 0 {
			t.Errorf("the workload has no %s", what)
		}
	}
}

// world is one run.
type world struct {
	t       *testing.T
	seed    uint64
	loud    bool
	rng     *rand.Rand
	start   time.Time
	store   *faulty
	journal *journal.Journal
	table   *table.Table
	clients []*actor
	sums    sums
	story   io.Writer // hashed

	called int          // how many requests there were
	noted  chan outcome // of what runs in the background

	beliefs map[lock.Name]*belief // who may think that they hold what
	broken  map[lock.Token]bool   // or about to be
	newest  map[lock.Name]lock.Token
	fates   map[lock.Token]*fate
	opened  time.Time               // when the table was
	calm    time.Time               // since when nothing new happens
	idle    map[lock.Name]time.Time // since when a lock is free although it has waiters
}

// belief is what a client may think after what it was told.
type belief struct {
	who   *actor
	token lock.Token
	until time.Time
}

func simulate(t *testing.T, seed uint64, loud bool) (s sums) {
	synctest.Test(t, func(t *testing.T) {
		h := fnv.New64a()
		w := &world{
			t: t, seed: seed, loud: loud, rng: rand.New(rand.NewPCG(seed, 7)), start: time.Now(),
			store: &faulty{Store: memory.New()}, story: h, noted: make(chan outcome, 1000),
			beliefs: map[lock.Name]*belief{}, broken: map[lock.Token]bool{}, newest: map[lock.Name]lock.Token{}, fates: map[lock.Token]*fate{}, idle: map[lock.Name]time.Time{},
		}
		w.open()
		for i := range 3 + w.rng.IntN(6) {
			w.clients = append(w.clients, newActor(w, i))
		}
		for range 40 + w.rng.IntN(80) {
			w.step()
		}
		w.settle()
		w.sums.trace = h.Sum64()
		s = w.sums
	})
	return s
}

func (w *world) tell(format string, args ...any) {
	line := fmt.Sprintf("%12s  ", time.Since(w.start)) + fmt.Sprintf(format, args...)
	fmt.Fprintln(w.story, line)
	if w.loud {
		w.t.Log(line)
	}
}

func (w *world) wrong(format string, args ...any) {
	w.t.Errorf("seed %d, at %s: %s", w.seed, time.Since(w.start), fmt.Sprintf(format, args...))
}

func (w *world) open() {
	w.journal = journal.New(w.store)
	table, err := table.Open(context.Background(), w.journal, table.Config{
		Rules: lock.Rules{MaxWaitersPerLock: 6, Level: lock.All}, Published: w.journal.Publish,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.table, w.opened = table, time.Now()
}

// step lets one thing happen and then everything that follows from it at once.
func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.pass(time.Duration(w.rng.Int64N(int64(1500 * time.Millisecond))))
	case n < 34:
		w.weather()
	case n < 36:
		w.breakSomething()
	case n < 37:
		w.restart("on purpose")
	default:
		w.clients[w.rng.IntN(len(w.clients))].act()
	}
	w.observe()
}

// pass lets time go by. No two things happen at one instant, so that the order in
// which goroutines run makes no difference.
func (w *world) pass(d time.Duration) { time.Sleep(d + time.Duration(w.rng.Int64N(1000))) }

// weather changes what the store does to commits.
func (w *world) weather() {
	m := []mood{fine, fine, fine, full, slow, lostly, appliedly}[w.rng.IntN(7)]
	w.tell("the store is %s", m)
	w.store.set(m, time.Duration(w.rng.Int64N(int64(3*time.Second))))
}

func (w *world) breakSomething() {
	name := w.name()
	v := w.table.Get(name)
	if v.Lease == nil {
		return
	}
	w.broken[v.Lease.Token] = true // its holder is told by other means
	breaking := lock.BreakRequest{Name: name, Token: v.Lease.Token, Cause: "simulated"}
	if w.rng.IntN(2) == 0 {
		w.takeSomething(breaking)
		return
	}
	w.call(func(note noting) {
		_, err := w.table.Break(context.Background(), breaking)
		note(0, func() { w.tell("break %s: %v", name, err) })
	})
}

// simulatedNames are of every kind of character a name may have, one of them ends in a verb.
var simulatedNames = []lock.Name{"a", "refs/heads/release", "@c/~d+1:57400"}

func (w *world) name() lock.Name { return simulatedNames[w.rng.IntN(len(simulatedNames))] }

// outcome is what came of a request, to be looked at when all is quiet.
type outcome struct {
	at    time.Time
	token lock.Token // of a grant
	call  int        // the number of the request
	look  func()
}

// noting keeps what came of a request, with the token if that is a grant.
type noting func(token lock.Token, look func())

// call runs a request in the background.
func (w *world) call(f func(noting)) {
	w.called++
	n := w.called
	go f(func(token lock.Token, look func()) { w.noted <- outcome{time.Now(), token, n, look} })
}

// collect looks at outcomes in the order in which they came. A slow store may answer
// several requests at one instant; then the order is that of tokens and requests.
func (w *world) collect() {
	var all []outcome
	for len(w.noted) > 0 {
		all = append(all, <-w.noted)
	}
	slices.SortStableFunc(all, func(a, b outcome) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.token, b.token), a.call-b.call)
	})
	for _, o := range all {
		o.look()
	}
}

// observe waits until everything that follows has happened, collects the answers in
// order, and looks at the state.
func (w *world) observe() {
	synctest.Wait()
	w.collect()
	if w.table.Err() != nil {
		w.sums.unknown++
		w.restart(w.table.Err().Error())
	}
	w.checkNoWaiterIsForgotten()
}

func (w *world) restart(why string) {
	w.tell("restart: %s", why)
	w.sums.restarts++
	w.store.set(fine, 0)
	synctest.Wait()
	_ = w.table.Close()
	w.journal.Close()
	synctest.Wait()
	w.collect()
	for _, f := range w.fates {
		f.answers++ // no answer of before can be found to be lost any more
	}
	w.open()
	synctest.Wait()
}

// checkNoWaiterIsForgotten finds lost wake-ups: a free lock and a waiter for
// it, on a store that works, for longer than any call takes.
func (w *world) checkNoWaiterIsForgotten() {
	synctest.Wait()
	w.checkMachine()
	for _, name := range simulatedNames {
		waits := false
		for _, c := range w.clients {
			waits = waits || c.name == name && c.waiting() && !c.thinks()
		}
		if !waits || w.store.troubled() || w.table.Get(name).Lease != nil {
			delete(w.idle, name)
			continue
		}
		if w.idle[name].IsZero() {
			w.idle[name] = time.Now()
		}
		if d := time.Since(w.idle[name]); d > 5*time.Second {
			w.wrong("invariant 5: %s is free, and a waiter has waited for %s", name, d)
		}
	}
}

// checkMachine recounts what the machine counts, and checks that each waiter has what its
// state says.
func (w *world) checkMachine() {
	if w.store.commits() {
		return
	}
	for _, fault := range w.table.Faults() {
		w.wrong("%s", fault)
	}
}

// settle ends the faults, lets everything run out, and reads the record.
func (w *world) settle() {
	w.store.set(fine, 0)
	w.calm = time.Now()
	w.observe()
	time.Sleep(3 * time.Minute)
	w.observe()
	for _, c := range w.clients {
		if c.waiting() {
			w.wrong("invariant 6: client %d was never answered", c.id)
		}
	}
	w.checkMachine()
	if s := w.table.Stats(); s.Held != 0 || s.Waiters != 0 {
		w.wrong("invariant 11: after everything ended: %d held, %d waiting", s.Held, s.Waiters)
	}
	w.readRecord()
	_ = w.table.Close()
	w.journal.Close()
}

package table

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "2000") // the command line is parsed later, and wins
	goleak.VerifyTestMain(m)
}

// diary is a store in memory whose commits a test can hold up or fail.
type diary struct {
	mu      sync.Mutex
	commits [][]lock.Event
	rows    map[lock.Name]lock.Row
	head    lock.Seq
	gate    chan struct{} // not nil: every commit takes a token from it
	fail    error
}

func newDiary() *diary { return &diary{rows: map[lock.Name]lock.Row{}} }

func (d *diary) Load(context.Context) (lock.Snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := lock.Snapshot{Head: lock.Head{Seq: d.head}, Secret: make([]byte, 32)}
	for _, r := range d.rows {
		s.Leases = append(s.Leases, lock.Loaded{Lease: *r.Lease, Attempt: r.Attempt, Remaining: time.Until(r.Lease.ExpiresAt)})
	}
	return s, nil
}

func (d *diary) Commit(_ context.Context, b *lock.Batch) error {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.commits = append(d.commits, slices.Clone(b.Events))
	d.head = b.Events[len(b.Events)-1].Seq
	for _, r := range b.Rows {
		if d.rows[r.Name] = r; r.Lease == nil {
			delete(d.rows, r.Name)
		}
	}
	return nil
}

func (d *diary) set(gate chan struct{}, fail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate, d.fail = gate, fail
}

func (d *diary) kinds() (kinds []lock.Kind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.commits {
		for _, e := range c {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func (d *diary) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.commits)
}

// inTime runs f in a bubble with virtual time, with an open table.
func inTime(t *testing.T, cfg Config, f func(t *testing.T, tab *Table, d *diary)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		tab, err := Open(t.Context(), d, cfg)
		if err != nil {
			t.Fatal(err)
		}
		f(t, tab, d)
		tab.Close()
	})
}

// outcome is what came of an acquire in the background.
type outcome struct {
	g   Grant
	err error
	at  time.Time
}

func (t *Table) start(ctx context.Context, a lock.Acquisition) <-chan outcome {
	return t.startWith(ctx, a, nil)
}

func (t *Table) startWith(ctx context.Context, a lock.Acquisition, recheck Recheck) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		g, err := t.AcquireWith(ctx, a, recheck)
		c <- outcome{g, err, time.Now()}
	}()
	return c
}

func mustAcquire(t *testing.T, tab *Table, a lock.Acquisition) Grant {
	t.Helper()
	g, err := tab.Acquire(t.Context(), a)
	if err != nil {
		t.Fatalf("acquire %s: %v", a.Name, err)
	}
	return g
}

func mustRelease(t *testing.T, tab *Table, g Grant) {
	t.Helper()
	if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: g.Lease.Name, LeaseID: g.LeaseID}); err != nil {
		t.Fatalf("release %s: %v", g.Lease.Name, err)
	}
}

// Invariant 3.
func TestAnswersLeaveAfterTheCommit(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		gate := make(chan struct{})
		d.set(gate, nil)
		got := tab.start(t.Context(), try("x"))
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("the answer left before the commit")
		default:
		}
		if v := tab.Get("x"); v.Lease != nil {
			t.Fatal("the view shows what is not committed")
		}
		close(gate)
		if o := <-got; o.err != nil {
			t.Fatal(o.err)
		}
		if v := tab.Get("x"); v.Lease == nil {
			t.Fatal("the answer left before the view was published")
		}
	})
}

// Invariant 3, for refusals: they may rest on a grant of the same batch.
func TestAnswersThatRefuseLeaveAfterTheCommit(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		gate := make(chan struct{})
		d.set(gate, nil)
		first, second := tab.start(t.Context(), try("x")), tab.start(t.Context(), try("x"))
		synctest.Wait()
		select {
		case <-first:
			t.Fatal("answered before the commit")
		case <-second:
			t.Fatal("refused before the commit")
		default:
		}
		close(gate)
		if a, b := (<-first).err, (<-second).err; (a == nil) == (b == nil) {
			t.Fatalf("one of two tries gets the lock; got %v and %v", a, b)
		}
	})
}

func TestBatchGathersWhileAnotherCommits(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		gate := make(chan struct{})
		d.set(gate, nil)
		first := tab.start(t.Context(), try("first"))
		synctest.Wait() // its commit is under way
		var rest []<-chan outcome
		for i := range 100 {
			rest = append(rest, tab.start(t.Context(), try(lock.Name(fmt.Sprint("l", i)))))
		}
		synctest.Wait()
		close(gate)
		for _, c := range append(rest, first) {
			if o := <-c; o.err != nil {
				t.Fatal(o.err)
			}
		}
		if n := d.count(); n != 2 {
			t.Errorf("101 acquires made %d commits, want 2", n)
		}
	})
}

// Invariant 4.
func TestExpiryHandsTheLockToTheFirstWaiter(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		start := time.Now()
		g := mustAcquire(t, tab, try("x"))
		o := <-tab.start(t.Context(), wait("x", time.Minute))
		if o.err != nil || o.at.Sub(start) != 10*time.Second {
			t.Fatalf("granted after %v, %v; want 10s", o.at.Sub(start), o.err)
		}
		if o.g.Lease.Token <= g.Lease.Token || o.g.Waited != 10*time.Second {
			t.Errorf("token %d after %d, waited %v", o.g.Lease.Token, g.Lease.Token, o.g.Waited)
		}
		if n := d.count(); n != 2 {
			t.Errorf("%d commits; the expiry and the next grant belong into one", n)
		}
		_, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
		if !errors.Is(err, lock.ErrNotHeld) {
			t.Errorf("late release: %v", err)
		}
	})
}

func TestWaitEndsExactlyWhenItIsOver(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		start := time.Now()
		_, err := tab.Acquire(t.Context(), wait("x", 3*time.Second))
		var held *lock.HeldError
		if !errors.As(err, &held) || time.Since(start) != 3*time.Second {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		if held.Lease.Token != g.Lease.Token || held.Position != 1 || held.Waiters != 0 || held.Waited != 3*time.Second {
			t.Errorf("got %+v", held)
		}
	})
}

// Invariant 5.
func TestQueueOfAThousandIsGrantedInOrder(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		var waiters []<-chan outcome
		for range 1000 {
			waiters = append(waiters, tab.start(t.Context(), wait("x", time.Hour)))
			synctest.Wait() // it stands in the queue before the next one comes
		}
		if v := tab.Get("x"); v.Waiters != 1000 || len(v.Queue) != 16 || v.Queue[15].Position != 16 {
			t.Fatalf("the view shows %d waiters, %d of them", v.Waiters, len(v.Queue))
		}
		before := d.count()
		token := g.Lease.Token
		for i, c := range waiters {
			mustRelease(t, tab, g)
			synctest.Wait()
			select {
			case o := <-c:
				if o.err != nil || o.g.Lease.Token <= token {
					t.Fatalf("waiter %d: token %d after %d, %v", i, o.g.Lease.Token, token, o.err)
				}
				g, token = o.g, o.g.Lease.Token
			default:
				t.Fatalf("waiter %d was passed", i)
			}
		}
		if n := d.count() - before; n != 1000 {
			t.Errorf("1000 hand-overs made %d commits", n)
		}
	})
}

// Invariant 6.
func TestDepartureOfAWaiterIsImmediate(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		ctx, hangUp := context.WithCancel(t.Context())
		first := tab.start(ctx, wait("x", time.Minute))
		synctest.Wait()
		second := tab.start(t.Context(), wait("x", time.Minute))
		synctest.Wait()
		hangUp()
		if o := <-first; !errors.Is(o.err, lock.ErrGone) {
			t.Fatalf("got %v", o.err)
		}
		if v := tab.Get("x"); v.Waiters != 1 || tab.Stats().Waiters != 1 {
			t.Errorf("%d waiters are left in the view", v.Waiters)
		}
		mustRelease(t, tab, g)
		if o := <-second; o.err != nil {
			t.Error(o.err)
		}
	})
}

func TestDrainAnswersEveryWaiterAndLetsHoldersFinish(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		var waiters []<-chan outcome
		for range 100 {
			waiters = append(waiters, tab.start(t.Context(), wait("x", time.Hour)))
		}
		synctest.Wait()
		start := time.Now()
		tab.Drain()
		for _, c := range waiters {
			if o := <-c; !errors.Is(o.err, lock.ErrDraining) || o.at.Sub(start) > time.Millisecond {
				t.Fatalf("after %v: %v", o.at.Sub(start), o.err)
			}
		}
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrDraining) {
			t.Errorf("acquire: %v", err)
		}
		if _, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
			t.Errorf("renew: %v", err)
		}
		mustRelease(t, tab, g)
	})
}

// A thousand waiters whose policies say no at their turn cost no commit each.
func TestRecheckDenialsCostNoCommits(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		denied := errors.New("policy says no")
		var waiters []<-chan outcome
		for range 1000 {
			deny := func(context.Context, lock.Turn) (lock.Opinion, error) { return lock.Opinion{}, denied }
			waiters = append(waiters, tab.startWith(t.Context(), wait("x", time.Hour), deny))
			synctest.Wait()
		}
		before := d.count()
		mustRelease(t, tab, g)
		for _, c := range waiters {
			if o := <-c; !errors.Is(o.err, denied) {
				t.Fatal(o.err)
			}
		}
		if n := d.count() - before; n != 1 {
			t.Errorf("the release and 1000 denials made %d commits, want 1", n)
		}
	})
}

func TestRecheckThatTakesTooLongPassesTheCallOn(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		slow := func(context.Context, lock.Turn) (lock.Opinion, error) {
			time.Sleep(5 * time.Second)
			return lock.Opinion{}, nil
		}
		first := tab.startWith(t.Context(), wait("x", time.Hour), slow)
		synctest.Wait()
		quick := func(_ context.Context, at lock.Turn) (lock.Opinion, error) {
			return lock.Opinion{Notes: []lock.Note{{Policy: "p", Key: "queue", Value: fmt.Sprint(at.Queue)}}}, nil
		}
		second := tab.startWith(t.Context(), wait("x", time.Hour), quick)
		synctest.Wait()
		start := time.Now()
		mustRelease(t, tab, g)
		o := <-second
		if o.err != nil || o.at.Sub(start) != time.Second {
			t.Fatalf("after %v: %v", o.at.Sub(start), o.err)
		}
		time.Sleep(5 * time.Second) // the slow one has answered, and waits on
		mustRelease(t, tab, o.g)
		if o := <-first; o.err != nil {
			t.Fatal(o.err)
		}
	})
}

// Invariant 9.
func TestLeaseIDIsProofForOneLeaseOfOneName(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		x, y := mustAcquire(t, tab, try("x")), mustAcquire(t, tab, try("y"))
		forged := []byte(x.LeaseID)
		forged[len(forged)-1] ^= 1
		stranger := lock.Origin{Actor: lock.Actor{Account: "other"}}
		for _, c := range []struct {
			what string
			r    lock.ReleaseRequest
		}{
			{"another name's id", lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: y.LeaseID}},
			{"a changed id", lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: string(forged)}},
			{"no id", lock.ReleaseRequest{Origin: me, Name: "x"}},
			{"another account", lock.ReleaseRequest{Origin: stranger, Name: "x", LeaseID: x.LeaseID}},
			{"a line break in it", lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: x.LeaseID[:31] + "\n"}},
		} {
			if _, err := tab.Release(t.Context(), c.r); !errors.Is(err, lock.ErrNotHeld) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		mustRelease(t, tab, x)
	})
}

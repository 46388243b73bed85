package table

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// followed is a tracer of the requests whose context names them.
type followed struct {
	mu      sync.Mutex
	queued  []string
	commits []commitSeen
}

type commitSeen struct {
	records  int
	err      error
	requests []string
}

type nameOf struct{}

// named is a context of a traced request.
func named(name string) context.Context {
	return context.WithValue(context.Background(), nameOf{}, name)
}

func (f *followed) Of(ctx context.Context) Trace {
	name, _ := ctx.Value(nameOf{}).(string)
	if name == "" {
		return nil
	}
	return followedRequest{f, name}
}

func (f *followed) Committed(began, ended time.Time, records int, err error, requests []Trace) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := commitSeen{records: records, err: err}
	for _, r := range requests {
		seen.requests = append(seen.requests, r.(followedRequest).name)
	}
	f.commits = append(f.commits, seen)
}

type followedRequest struct {
	of   *followed
	name string
}

func (r followedRequest) Queued(from, to time.Time, err error) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	outcome := "granted"
	if err != nil {
		outcome = "left"
	}
	if to.Before(from) {
		outcome = "before it came"
	}
	r.of.queued = append(r.of.queued, r.name+" "+outcome)
}

// refusing is a store that fails on demand.
type refusing struct {
	nowhere
	err error
}

func (r *refusing) Commit(context.Context, *lock.Batch) error { return r.err }

// A commit is told with the requests it answers: the release and the waiter it hands over to. Requests
// without a trace, and refusals that nothing records, are in none.
func TestTracerFollowsRequests(t *testing.T) {
	f := new(followed)
	store := new(refusing)
	locks, err := Open(context.Background(), store, Config{Tracer: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locks.Close() })
	held, err := locks.Acquire(context.Background(), try("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locks.Acquire(named("refused"), try("a")); !errors.As(err, new(*lock.HeldError)) {
		t.Fatal(err)
	}
	late := try("a")
	late.Wait = time.Millisecond
	if _, err := locks.Acquire(named("late"), late); err == nil {
		t.Fatal("a held lock was granted")
	}
	waits := try("a")
	waits.Wait = time.Minute
	granted := make(chan error, 1)
	go func() {
		_, err := locks.Acquire(named("waiter"), waits)
		granted <- err
	}()
	for locks.Get("a").Waiters == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := locks.Release(named("release"), lock.ReleaseRequest{Origin: me, Name: "a", LeaseID: held.LeaseID}); err != nil {
		t.Fatal(err)
	}
	if err := <-granted; err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	if len(f.queued) != 2 || f.queued[0] != "late left" || f.queued[1] != "waiter granted" {
		t.Errorf("the waits are %q", f.queued)
	}
	if len(f.commits) != 1 || f.commits[0].records != 2 || f.commits[0].err != nil || len(f.commits[0].requests) != 2 {
		t.Errorf("the commits are %+v", f.commits)
	}
	f.mu.Unlock()
	store.err = errors.New("the disk is gone")
	if _, err := locks.Acquire(named("lost"), try("b")); err == nil {
		t.Fatal("a commit that failed is a grant")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := f.commits[len(f.commits)-1]; last.err == nil || len(last.requests) != 1 || last.requests[0] != "lost" {
		t.Errorf("the commit that failed is %+v", last)
	}
}

// A tracer that traces no request costs no allocation, so no tracer does not either.
func TestTracerOfNothingCostsNothing(t *testing.T) {
	cost := func(tracer Tracer) float64 {
		locks, err := Open(context.Background(), nowhere{}, Config{Tracer: tracer})
		if err != nil {
			t.Fatal(err)
		}
		defer locks.Close()
		a := try("x")
		a.TTL = time.Hour
		g, err := locks.Acquire(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		renew := lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}
		return testing.AllocsPerRun(2000, func() {
			if _, err := locks.Renew(context.Background(), renew); err != nil {
				t.Error(err)
			}
		})
	}
	if off, idle := cost(nil), cost(new(followed)); off > idle+1 || idle > off+1 {
		t.Errorf("%v allocations without a tracer, %v with one that traces nothing", off, idle)
	}
}

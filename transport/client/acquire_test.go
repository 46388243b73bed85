package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/client"
)

// start starts a server in this process, and returns a client of it.
func start(t *testing.T) *client.Client {
	t.Helper()
	c, stop := startServer()
	t.Cleanup(stop)
	return c
}

func clientOf(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func acquire(t *testing.T, c *client.Client, name string, o client.AcquireOptions) *client.Lease {
	t.Helper()
	l, err := c.Acquire(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func release(t *testing.T, l *client.Lease) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAcquireGrantsAndReleaseFreesALock(t *testing.T) {
	c := start(t)
	l := acquire(t, c, "deploy/prod", client.AcquireOptions{Holder: "ci-1"})
	if l.Name() != "deploy/prod" || l.Token() == 0 || l.ID() == "" || l.Left() < 50*time.Second || l.Context().Err() != nil {
		t.Errorf("the lease is %+v, %s left", l.Grant(), l.Left())
	}
	if g := l.Grant(); g.ConfirmMS != 0 || g.TTLMS != 60_000 {
		t.Errorf("the lease is not confirmed: %+v", g)
	}
	_, err := c.Acquire(t.Context(), "deploy/prod", client.AcquireOptions{})
	e, is := errors.AsType[*client.Error](err)
	if !errors.Is(err, client.ErrHeld) || !is || e.HeldProblem == nil || e.Lease.Holder != "ci-1" {
		t.Errorf("a second client got %v", err)
	}
	release(t, l)
	if cause := context.Cause(l.Context()); !errors.Is(cause, client.ErrReleased) {
		t.Errorf("after the release the context ended with %v", cause)
	}
	release(t, acquire(t, c, "deploy/prod", client.AcquireOptions{}))
}

func TestAcquireWaitsForTheRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		first := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: time.Minute})
		time.Sleep(50 * time.Second)
		release(w.T, first)
		second := <-waiting
		if second.err != nil {
			w.Fatal(second.err)
		}
		if second.Token() <= first.Token() || second.Waited() != 50*time.Second {
			w.Errorf("token %d after %d, waited %s", second.Token(), first.Token(), second.Waited())
		}
		release(w.T, second.Lease)
	})
}

// A lease that is left to the caller has its whole ttl, and nothing renews it.
func TestAcquireUnkeptLeavesTheLease(t *testing.T) {
	c := start(t)
	g, err := c.AcquireUnkept(t.Context(), "a", client.AcquireOptions{TTL: time.Second, Key: "one-attempt-of-its-own"})
	if err != nil {
		t.Fatal(err)
	}
	if g.TTLMS != 1000 || g.ConfirmMS != 0 || g.ExpiresInMS < 500 {
		t.Errorf("the lease is %+v", g)
	}
	later := acquire(t, c, "a", client.AcquireOptions{Wait: 10 * time.Second}) // it ends by itself
	if later.Waited() < 500*time.Millisecond || later.Token() <= g.FencingToken {
		t.Errorf("token %d after %d, waited %s", later.Token(), g.FencingToken, later.Waited())
	}
	release(t, later)
}

// With a confirm time of the caller the first renewal is the caller's, too.
func TestAcquireUnkeptLeavesTheFirstRenewal(t *testing.T) {
	c := start(t)
	held := acquire(t, c, "a", client.AcquireOptions{})
	var freeing sync.WaitGroup
	defer freeing.Wait() // the waiter may have the lock before the answer to the release is there
	freeing.Go(func() {
		time.Sleep(300 * time.Millisecond)
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
	g, err := c.AcquireUnkept(t.Context(), "a", client.AcquireOptions{TTL: time.Minute, Confirm: 5 * time.Second, Wait: time.Minute, Slice: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if g.ConfirmMS != 5000 || g.ExpiresInMS > 5000 || g.WaitedMS < 250 {
		t.Errorf("the lease is %+v", g)
	}
	renewed, err := c.Renew(t.Context(), "a", g.LeaseID, 0)
	if err != nil || renewed.ExpiresInMS < 50_000 || renewed.ConfirmMS != 0 {
		t.Errorf("renewed: %+v, %v", renewed, err)
	}
}

package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/client"
)

// moved is a node while no server has the lock table.
func moved(_ http.Handler, w http.ResponseWriter, r *http.Request) {
	page(503, "Retry-After: 1", `{"code":"moved","detail":"ask again"}`)(w, r)
}

// move has the lock table move to another server, which takes a while.
func (w *world) move(away time.Duration) {
	w.Helper()
	w.stop() // the server that had it is gone, with all its requests
	w.set(moved)
	w.start()
	time.AfterFunc(away, func() { w.set(passOn) })
}

// Holders and waiters come through the loss of a server, which another one replaces within 15 s.
func TestMovedTableIsWaitedOut(t *testing.T) {
	inWorld(t, func(w *world) {
		held := acquire(w.T, w.client(), "a", client.AcquireOptions{TTL: time.Minute})
		waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: -1})
		renewed := len(w.sent("renew"))
		for range 3 {
			w.move(15 * time.Second)
			time.Sleep(40 * time.Second)
		}
		if held.Context().Err() != nil || len(w.sent("renew")) < renewed+3 {
			w.Fatalf("the lease is over: %v", context.Cause(held.Context()))
		}
		w.move(15 * time.Second)
		began := time.Now()
		release(w.T, held)
		if waited := time.Since(began); waited < 14*time.Second || waited > 17*time.Second {
			w.Errorf("it was released after %s", waited)
		}
		second := <-waiting
		if second.err != nil {
			w.Fatal(second.err)
		}
		release(w.T, second.Lease)
		w.expectFree("a")
	})
}

// A release does not go on forever if no server takes the lock table.
func TestMovedTableThatNobodyTakesIsGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		w.set(moved)
		began := time.Now()
		if err := l.Release(w.Context()); !errors.Is(err, client.ErrMoved) || time.Since(began) > 20*time.Second || time.Since(began) < 18*time.Second {
			w.Errorf("after %s: %v", time.Since(began), err)
		}
		w.set(passOn)
		release(w.T, l)
	})
}

package client_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/client"
)

// A request that waits is followed by the next before it ends, so the place always has a listener.
func TestAcquireListensWithoutAGap(t *testing.T) {
	inWorld(t, func(w *world) {
		first := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: -1})
		since := w.look("a").Waiters[0].Since
		for range 1_200 {
			time.Sleep(100 * time.Millisecond)
			if at := w.look("a").Waiters; len(at) != 1 || at[0].Away || !at[0].Since.Equal(since) {
				w.Fatalf("the queue is %+v, want a listener since %s", at, since)
			}
		}
		if n := len(w.sent("acquire")); n != 1+5 {
			w.Errorf("two minutes took %d requests, want 5 and the first of all", n-1)
		}
		release(w.T, first)
		release(w.T, (<-waiting).Lease)
	})
}

// Whatever proxies do to requests that wait, they are granted the lock in order, and at once.
func TestAcquireKeepsItsPlaceWhateverProxiesDo(t *testing.T) {
	const limit = 10 * time.Second
	var cuts atomic.Int32 // by proxies that answer
	cutting := func(answer http.HandlerFunc) proxy {
		return gateway(limit, false, func(w http.ResponseWriter, r *http.Request) {
			cuts.Add(1)
			answer(w, r)
		})
	}
	for what, disturb := range map[string]func(*world){
		"cut":                 func(w *world) { w.cutAfter = limit },
		"504":                 func(w *world) { w.set(cutting(page(504, "", "<html>"))) },
		"524":                 func(w *world) { w.set(cutting(page(524, "", "<html>"))) },
		"408":                 func(w *world) { w.set(cutting(page(408, "", ""))) },
		"502 and Retry-After": func(w *world) { w.set(cutting(page(502, "Retry-After: 1", "<html>"))) },
		"half an answer": func(w *world) {
			w.set(cutting(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "999")
				_, _ = w.Write([]byte(`{"name":"a","lease_id`))
				panic(http.ErrAbortHandler)
			}))
		},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				first := acquire(w.T, w.client(), "a", client.AcquireOptions{})
				disturb(w)
				var waiting []<-chan acquired
				for i := range 3 {
					waiting = append(waiting, w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: time.Hour, Holder: fmt.Sprint(i)}))
					time.Sleep(1300 * time.Millisecond)
				}
				time.Sleep(2 * time.Minute)
				held := first
				for i, next := range waiting {
					release(w.T, held)
					freed := time.Now()
					got := <-next
					if got.err != nil {
						w.Fatal(got.err)
					}
					if late := got.at.Sub(freed); late > 300*time.Millisecond || got.Grant().Holder != fmt.Sprint(i) {
						w.Errorf("%s after the release the lock is that of %s, want %d", late, got.Grant().Holder, i)
					}
					held = got.Lease
					time.Sleep(17 * time.Second)
				}
				release(w.T, held)
				w.expectFree("a")
				if n := cuts.Swap(0); n > 3 {
					w.Errorf("%d requests were cut; one of each should be enough to learn", n)
				}
			})
		})
	}
}

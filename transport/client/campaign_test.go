package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/client"
)

// One leads at a time, in the order of candidacy, and observers see each of them.
func TestCampaignHasOneLeaderAtATime(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		seen := observing(ctx, w.client().NewCampaign("leader", client.AcquireOptions{}))
		var leading atomic.Int32
		done := make(chan error)
		for i := range 3 {
			e := w.client().NewCampaign("leader", client.AcquireOptions{Holder: fmt.Sprint("node-", i)})
			go func() {
				var err error
				for err == nil {
					err = e.Lead(ctx, func(ctx context.Context, _ *client.Lease) error {
						if leading.Add(1) != 1 {
							w.Error("two lead")
						}
						defer leading.Add(-1)
						select {
						case <-time.After(time.Minute):
							return nil // it resigns
						case <-ctx.Done():
							return context.Cause(ctx)
						}
					})
				}
				done <- err
			}()
			synctest.Wait()
		}
		time.Sleep(5*time.Minute - time.Second)
		cancel()
		for range 3 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				w.Errorf("a candidate ended with %v", err)
			}
		}
		if got := strings.Join(<-seen, " "); !strings.HasPrefix(got, "nobody node-0 node-1 node-2 node-0 node-1") {
			w.Errorf("seen: %s", got)
		}
		w.expectFree("leader")
	})
}

// observing returns what is seen until ctx ends.
func observing(ctx context.Context, e *client.Campaign) <-chan []string {
	out := make(chan []string, 1)
	go func() {
		var seen []string
		for leader, err := range e.Observe(ctx) {
			if err != nil {
				break
			}
			if leader.FencingToken == 0 {
				leader.Holder = "nobody"
			}
			seen = append(seen, leader.Holder)
		}
		out <- seen
	}()
	synctest.Wait()
	return out
}

// A leader whose lease cannot be renewed stops before the next one is elected, and is a candidate
// again.
func TestCampaignEndsBeforeItsLeadershipIsLost(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		terms := 0
		done := make(chan error)
		go func() {
			done <- w.client().NewCampaign("leader", client.AcquireOptions{TTL: 12 * time.Second}).Lead(ctx, func(ctx context.Context, l *client.Lease) error {
				terms++
				<-ctx.Done()
				if _, lost := errors.AsType[*client.LostError](context.Cause(ctx)); terms == 1 && (!lost || l.Left() != 2*time.Second) {
					w.Errorf("%v, and %s are left", context.Cause(ctx), l.Left())
				}
				return context.Cause(ctx)
			})
		}()
		time.Sleep(time.Minute)
		w.stop()
		time.Sleep(time.Minute)
		w.start()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || terms != 2 {
			w.Errorf("after %d terms it ended with %v", terms, err)
		}
		w.expectFree("leader")
	})
}

// Who leads returns what it likes, and resigns by that.
func TestCampaignReturnsWhatItsLeaderReturns(t *testing.T) {
	inWorld(t, func(w *world) {
		enough := errors.New("enough")
		e := w.client().NewCampaign("leader", client.AcquireOptions{Holder: "node-1"})
		err := e.Lead(w.Context(), func(ctx context.Context, l *client.Lease) error {
			leader, err := e.Leader(ctx)
			if err != nil || leader.Holder != "node-1" || leader.FencingToken != l.Token() {
				w.Errorf("the leader is %+v: %v", leader, err)
			}
			return enough
		})
		if !errors.Is(err, enough) {
			w.Errorf("it ended with %v", err)
		}
		w.expectFree("leader")
	})
}

// Observers go on over restarts of the server, and learn what they have missed.
func TestCampaignIsObservedOverOutages(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		seen := observing(ctx, w.client().NewCampaign("leader", client.AcquireOptions{}))
		lead := func(holder string) *client.Lease {
			l, err := w.client().NewCampaign("leader", client.AcquireOptions{Holder: holder}).Win(ctx)
			if err != nil {
				w.Fatal(err)
			}
			return l
		}
		first := lead("node-1")
		time.Sleep(time.Second)
		w.set(answering("events", page(503, "", "")))
		w.stop()
		w.start()
		release(w.T, first)
		second := lead("node-2")
		release(w.T, acquire(w.T, w.client(), "leader2", client.AcquireOptions{})) // not of this election
		w.set(passOn)
		time.Sleep(5 * time.Second)
		cancel()
		if got := strings.Join(<-seen, " "); got != "nobody node-1 node-2" {
			w.Errorf("seen: %s", got)
		}
		release(w.T, second)
	})
}

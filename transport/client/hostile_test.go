package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/client"
)

// A callback that hangs, such as one that writes to a pipe that nobody reads, costs the lease, but
// does not keep its context from ending in time; and a callback may release the lease.
func TestLeaseContextEndsInTimeWhileACallbackHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		hanging := make(chan struct{})
		renewed := 0
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{Renewed: func() {
			if renewed++; renewed == 2 {
				<-hanging
			}
		}})
		time.Sleep(21 * time.Second)
		end := time.Now().Add(l.Left())
		select {
		case <-l.Context().Done():
		case <-time.After(5 * time.Minute):
		}
		if left := time.Until(end); left < 5*time.Second || left > 5*time.Second+time.Millisecond {
			w.Errorf("the context ended %s before the lease", left)
		}
		close(hanging)
		release(w.T, l)
	})
}

func TestLeaseMayBeReleasedByItsCallback(t *testing.T) {
	inWorld(t, func(w *world) {
		released := make(chan error, 1)
		var l *client.Lease
		l = acquire(w.T, w.client(), "a", client.AcquireOptions{RenewFailed: func(error) { released <- l.Release(w.Context()) }})
		w.set(answering("renew", page(502, "", "")))
		began := time.Now()
		select {
		case err := <-released:
			if err != nil || time.Since(began) > 31*time.Second {
				w.Errorf("after %s: %v", time.Since(began), err)
			}
		case <-time.After(time.Minute):
			w.Fatal("it hangs")
		}
		w.expectFree("a")
	})
}

// The first renewal may have arrived although its answer did not; then the lease has its whole ttl.
// An Acquire that goes on waiting finds it again, and does not wait for its end.
func TestAcquireDoesNotWaitForItsOwnLease(t *testing.T) {
	inWorld(t, func(w *world) {
		w.set(func(server http.Handler, rw http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/renew"):
				server.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			case strings.HasSuffix(r.URL.Path, "/release"):
				panic(http.ErrAbortHandler)
			}
			server.ServeHTTP(rw, r)
		})
		began := time.Now()
		waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{TTL: time.Hour, Wait: -1})
		time.Sleep(30 * time.Second)
		w.set(passOn)
		var got acquired
		select {
		case got = <-waiting:
		case <-time.After(5 * time.Minute):
			w.Fatal("it still waits, for itself")
		}
		if got.err != nil || got.at.Sub(began) > time.Minute {
			w.Fatalf("after %s: %v", got.at.Sub(began), got.err)
		}
		if n := len(w.sent("release")); n > 0 {
			w.Errorf("%d releases were sent, which may arrive late and end the lease", n)
		}
		release(w.T, got.Lease)
		w.expectFree("a")
	})
}

// A machine whose clocks stood still while a request was under way, as those of a virtual machine
// that was paused, must not add the time of the server to its own.
func TestLeaseEndsAtTheLatestItsTimeAfterTheAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		var stood atomic.Int64
		began := time.Now()
		c := w.client()
		c.SetClock(func() time.Duration { return time.Since(began) - time.Duration(stood.Load()) })
		other := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		go func() {
			time.Sleep(20 * time.Second)
			stood.Store(int64(20 * time.Second))
			_ = other.Release(w.Context())
		}()
		l, err := c.Acquire(w.Context(), "a", client.AcquireOptions{Wait: time.Minute, TTL: 10 * time.Second})
		if err != nil {
			w.Fatal(err)
		}
		if left := l.Left(); left > 10*time.Second {
			w.Errorf("of 10 s %s are left", left)
		}
		release(w.T, l)
	})
}

// What no request can carry is an error at once, not a server that does not answer.
func TestClientRefusesWhatItCannotSend(t *testing.T) {
	for _, cfg := range []client.Config{
		{Token: "octo_token\n"}, {Token: "a\x00b"}, {URL: "http://localhost/#fragment"}, {URL: "http://localhost/?"},
	} {
		if _, err := client.New(cfg); err == nil || strings.Contains(err.Error(), "octo_token") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	inWorld(t, func(w *world) {
		for _, key := range []string{"fifteen-letters", strings.Repeat("k", 129), "with a line end\nhere", "with a space in it", "with an umlaut: ü"} {
			_, err := w.client().Acquire(w.Context(), "a", client.AcquireOptions{Key: key, Wait: time.Minute})
			if _, is := errors.AsType[*client.OptionError](err); !is || !errors.Is(err, client.ErrInvalid) {
				w.Errorf("the key %q: %v", key, err)
			}
		}
		if n := len(w.sent("acquire")); n > 0 {
			w.Errorf("%d requests were sent", n)
		}
	})
}

// A server that refuses a release has not released.
func TestLeaseReleaseTellsARefusalFromALostAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		refused := 0
		w.set(answering("release", func(rw http.ResponseWriter, r *http.Request) {
			if refused++; refused == 1 {
				page(503, "Retry-After: 1", `{"code":"draining"}`)(rw, r)
				return
			}
			page(409, "", `{"code":"not_held"}`)(rw, r)
		}))
		if err := l.Release(w.Context()); !errors.Is(err, client.ErrNotHeld) {
			w.Errorf("a lease that was over is released with %v", err)
		}
		w.set(passOn)
		release(w.T, l)
	})
}

// A server, or a proxy, that answers without end is an error, soon and in little memory.
func TestClientReadsSoMuchAtMost(t *testing.T) {
	const most = 64 << 20
	for what, tt := range map[string]struct {
		kind, begin, more string
		ask               func(context.Context, *client.Client) error
	}{
		"lock": {"application/json", `{"locks":[{"name":"`, strings.Repeat("a", 1<<16), func(ctx context.Context, c *client.Client) error {
			_, err := c.Lock(ctx, "a", client.QueuePage{})
			return err
		}},
		"grant": {"application/json", `{"name":"`, strings.Repeat("a", 1<<16), func(ctx context.Context, c *client.Client) error {
			_, err := c.AcquireOnce(ctx, client.AcquireRequest{Name: "a"})
			return err
		}},
		"refusal": {"", "", strings.Repeat("a", 1<<16), func(ctx context.Context, c *client.Client) error {
			_, err := c.Locks(ctx, client.LocksQuery{})
			return err
		}},
		"event": {"text/event-stream", "id: 1\n", "data: " + strings.Repeat("a", 1<<16) + "\n", func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Watch(ctx, client.WatchQuery{}) {
				return err
			}
			return nil
		}},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				var sent int
				w.set(func(_ http.Handler, rw http.ResponseWriter, r *http.Request) {
					drain(r)
					rw.Header().Set("Content-Type", tt.kind)
					if tt.kind == "" {
						rw.WriteHeader(500)
					}
					_, err := io.WriteString(rw, tt.begin)
					for err == nil && sent < most {
						sent += len(tt.more)
						_, err = io.WriteString(rw, tt.more)
					}
				})
				err := tt.ask(w.Context(), w.client())
				synctest.Wait()
				if err == nil || sent >= most {
					w.Errorf("it read %d bytes: %v", sent, err)
				}
			})
		})
	}
}

// Observers go on when the answer about the leader does not come, or not whole.
func TestCampaignIsObservedPastAnswersThatDoNotCome(t *testing.T) {
	for what, answer := range map[string]http.HandlerFunc{
		"hang": hang,
		"cut": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(rw, `{"locks":[`)
			_ = http.NewResponseController(rw).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				ctx, cancel := context.WithCancel(w.Context())
				w.set(answering("locks", answer))
				seen := observing(ctx, w.client().NewCampaign("leader", client.AcquireOptions{}))
				w.set(passOn)
				l := acquire(w.T, w.client(), "leader", client.AcquireOptions{Holder: "node-1"})
				time.Sleep(time.Minute)
				cancel()
				if got := strings.Join(<-seen, " "); got != "node-1" {
					w.Errorf("seen: %s", got)
				}
				release(w.T, l)
			})
		})
	}
}

// A client keeps its connection, also after an answer that it does not look at.
func TestClientUsesItsConnectionAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		dials := 0
		wire := &http.Transport{}
		wire.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return w.dial(ctx, network, addr)
		}
		defer wire.CloseIdleConnections()
		c, err := client.New(client.Config{URL: "http://localhost", HTTP: &http.Client{Transport: wire}})
		if err != nil {
			w.Fatal(err)
		}
		for range 3 {
			if err := c.Health(w.Context()); err != nil {
				w.Error(err)
			}
			if _, err := c.Locks(w.Context(), client.LocksQuery{}); err != nil {
				w.Error(err)
			}
			if _, err := c.Renew(w.Context(), "a", "id", 0); !errors.Is(err, client.ErrNotHeld) {
				w.Error(err)
			}
			synctest.Wait()
		}
		if dials != 1 {
			w.Errorf("it made %d connections", dials)
		}
	})
}

package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

func TestLeaseIsRenewedAtAThird(t *testing.T) {
	inWorld(t, func(w *world) {
		renewed := 0
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{TTL: 30 * time.Second, Renewed: func() { renewed++ }})
		began := time.Now()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		sent := w.sent("renew")
		if len(sent) != 13 || renewed != 13 {
			w.Fatalf("in two minutes it was renewed %d times, and said so %d times", len(sent), renewed)
		}
		for i, r := range sent {
			if late := r.at.Sub(began) - time.Duration(i)*10*time.Second; late < 0 || late > time.Millisecond {
				w.Errorf("renewal %d came after %s", i, r.at.Sub(began))
			}
		}
		release(w.T, l)
	})
}

// A policy may grant a shorter ttl than was asked for; then that one counts.
func TestLeaseGoesByTheGrantedTTL(t *testing.T) {
	inWorld(t, func(w *world) {
		w.set(granting(9_000))
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{TTL: time.Hour})
		if l.Left() != 9*time.Second {
			w.Errorf("it has %s left", l.Left())
		}
		time.Sleep(10 * time.Second)
		if n := len(w.sent("renew")); n != 4 {
			w.Errorf("it was renewed %d times in 10 s, want 4", n)
		}
		release(w.T, l)
		// A margin that leaves no time for a renewal is refused, and the lease given back.
		_, err := w.client().Acquire(w.Context(), "a", client.AcquireOptions{TTL: time.Hour, Margin: 6 * time.Second})
		short, is := errors.AsType[*client.ShortTTLError](err)
		if !is || short.TTL != 9*time.Second || short.Margin != 6*time.Second {
			w.Errorf("a margin of 6 s with a ttl of 9 s: %v", err)
		}
		if n := len(w.sent("release")); n != 2 {
			w.Errorf("%d leases were released, want 2", n)
		}
	})
}

// granting is a server that grants everything for so many milliseconds.
func granting(ms int) proxy {
	text := strings.ReplaceAll(aGrant, "60000", strconv.Itoa(ms))
	return func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		drain(r)
		_, _ = w.Write([]byte(text))
	}
}

// ways to lose a lease, and what the context's cause then is.
var losses = map[string]struct {
	lose func(*world)
	is   error
}{
	"the server is gone":     {func(w *world) { w.stop() }, nil},
	"the server hangs":       {func(w *world) { w.set(answering("renew", hang)) }, nil},
	"the proxy fails":        {func(w *world) { w.set(answering("renew", page(502, "", "<html>"))) }, nil},
	"a login page":           {func(w *world) { w.set(answering("renew", page(200, "", "<html>"))) }, nil},
	"the token was revoked":  {func(w *world) { w.set(answering("renew", page(401, "", `{"code":"unauthenticated"}`))) }, client.ErrUnauthenticated},
	"the scope was narrowed": {func(w *world) { w.set(answering("renew", page(403, "", `{"code":"forbidden"}`))) }, client.ErrForbidden},
	"a policy forbids it":    {func(w *world) { w.set(answering("renew", page(403, "", `{"code":"policy_denied"}`))) }, client.ErrPolicyDenied},
	"the disk is full":       {func(w *world) { w.set(answering("renew", page(507, "Retry-After: 600", `{"code":"storage_full"}`))) }, client.ErrStorageFull},
	"too many requests":      {func(w *world) { w.set(answering("renew", page(429, "Retry-After: 600", `{"code":"rate_limited"}`))) }, client.ErrRateLimited},
}

// If the lease cannot be renewed, its context ends the margin before it may be another's, neither
// earlier nor later, and says why. Renewals are tried often until then.
func TestLeaseContextEndsBeforeItCanBeLost(t *testing.T) {
	for what, tt := range losses {
		for _, margin := range []time.Duration{0, 11 * time.Second} {
			t.Run(what+" "+margin.String(), func(t *testing.T) {
				inWorld(t, func(w *world) {
					failed := 0
					l := acquire(w.T, w.client(), "a", client.AcquireOptions{Margin: margin, RenewFailed: func(error) { failed++ }})
					time.Sleep(30 * time.Second)
					synctest.Wait()
					end := time.Now().Add(l.Left())
					tt.lose(w)
					<-l.Context().Done()
					want := max(margin, 5*time.Second)
					if left := time.Until(end); left < want || left > want+time.Millisecond || l.Left() != left {
						w.Errorf("the context ended %s before the lease, want %s; it says %s", left, want, l.Left())
					}
					lost, is := errors.AsType[*client.LostError](context.Cause(l.Context()))
					if !is || lost.Name != "a" || lost.Err == nil || tt.is != nil && !errors.Is(lost, tt.is) {
						w.Errorf("the cause is %v", context.Cause(l.Context()))
					}
					if failed < 2 {
						w.Errorf("it was tried in vain %d times", failed)
					}
					w.set(passOn)
					if w.listener == nil {
						w.start()
					}
					release(w.T, l) // it was still ours
					w.expectFree("a")
				})
			})
		}
	}
}

// A lease is kept as soon as one renewal succeeds.
func TestLeaseIsKeptOverOutages(t *testing.T) {
	for what, tt := range losses {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				l := acquire(w.T, w.client(), "a", client.AcquireOptions{})
				time.Sleep(19 * time.Second)
				tt.lose(w)
				time.Sleep(30 * time.Second)
				w.set(passOn)
				if w.listener == nil {
					w.start()
				}
				time.Sleep(time.Minute)
				if err := context.Cause(l.Context()); err != nil || w.look("a").Lease.FencingToken != l.Token() {
					w.Errorf("the lease is lost: %v", err)
				}
				release(w.T, l)
			})
		})
	}
}

// A lease that is over is not tried to be renewed again, and its release says so.
func TestLeaseThatWasBrokenIsLostAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		time.Sleep(time.Second)
		if _, err := w.client().Break(w.Context(), client.BreakRequest{Name: "a", Reason: "test", FencingToken: l.Token()}); err != nil {
			w.Fatal(err)
		}
		began := time.Now()
		<-l.Context().Done()
		if cause := context.Cause(l.Context()); !errors.Is(cause, client.ErrNotHeld) || time.Since(began) > 20*time.Second {
			w.Errorf("after %s: %v", time.Since(began), cause)
		}
		if n := len(w.sent("renew")); n != 2 {
			w.Errorf("it was renewed %d times", n)
		}
		if err := l.Release(w.Context()); !errors.Is(err, client.ErrNotHeld) {
			w.Errorf("its release says %v", err)
		}
	})
}

// A process or machine that stands still for longer than the lease notices within a second after
// it, even if its timers do not count that time.
func TestLeaseContextEndsAfterASuspend(t *testing.T) {
	inWorld(t, func(w *world) {
		var slept atomic.Int64
		began := time.Now()
		c := w.client()
		c.SetClock(func() time.Duration { return time.Since(began) + time.Duration(slept.Load()) })
		l := acquire(w.T, c, "a", client.AcquireOptions{TTL: 10 * time.Minute})
		time.Sleep(90 * time.Second)
		slept.Store(int64(time.Hour))
		woken := time.Now()
		if l.Left() != 0 {
			w.Errorf("after an hour %s are left", l.Left())
		}
		<-l.Context().Done()
		if _, is := errors.AsType[*client.LostError](context.Cause(l.Context())); !is || time.Since(woken) > time.Second {
			w.Errorf("after %s: %v", time.Since(woken), context.Cause(l.Context()))
		}
		release(w.T, l)

		// After a shorter one it is renewed at once.
		l = acquire(w.T, c, "a", client.AcquireOptions{TTL: 10 * time.Minute})
		time.Sleep(time.Second)
		n := len(w.sent("renew"))
		slept.Add(int64(5 * time.Minute))
		time.Sleep(1001 * time.Millisecond)
		if len(w.sent("renew")) != n+1 || l.Context().Err() != nil {
			w.Errorf("after 5 minutes of 10 it was renewed %d times: %v", len(w.sent("renew"))-n, l.Context().Err())
		}
		release(w.T, l)
	})
}

// The lease that counts is the one that began when the request was sent.
func TestLeaseCountsFromBeforeTheRequest(t *testing.T) {
	inWorld(t, func(w *world) {
		w.set(func(server http.Handler, rw http.ResponseWriter, r *http.Request) {
			answered := httptest.NewRecorder()
			server.ServeHTTP(answered, r)
			time.Sleep(2 * time.Second)
			_, _ = rw.Write(answered.Body.Bytes())
		})
		l := acquire(w.T, w.client(), "a", client.AcquireOptions{})
		if l.Left() != 58*time.Second {
			w.Errorf("an answer that took 2 s leaves %s of 60 s", l.Left())
		}
		release(w.T, l)
	})
}

// A lease that cannot be confirmed is given back, and waiting goes on if there is time.
func TestAcquireNeedsTheFirstRenewal(t *testing.T) {
	for what, cause := range map[string]struct {
		answer http.HandlerFunc
		final  bool
	}{
		"hangs":     {hang, false},
		"fails":     {page(502, "", ""), false},
		"not held":  {page(409, "", `{"code":"not_held"}`), false},
		"forbidden": {page(403, "", `{"code":"forbidden"}`), true},
		"no lease":  {page(200, "", aGrant), true},
	} {
		for _, wait := range []time.Duration{0, time.Minute} {
			t.Run(what+" "+wait.String(), func(t *testing.T) {
				inWorld(t, func(w *world) {
					w.set(answering("renew", cause.answer))
					began := time.Now()
					waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: wait})
					if cause.final || wait == 0 {
						got := <-waiting
						if got.err == nil || !strings.Contains(got.err.Error(), "could not be renewed") || got.at.Sub(began) > 15*time.Second {
							w.Errorf("after %s: %v", got.at.Sub(began), got.err)
						}
						w.expectFree("a")
						return
					}
					time.Sleep(20 * time.Second)
					w.set(passOn)
					got := <-waiting
					if got.err != nil {
						w.Fatal(got.err)
					}
					if g := got.Grant(); g.ConfirmMS != 0 || g.FencingToken != w.look("a").Lease.FencingToken {
						w.Errorf("the lease is %+v", g)
					}
					release(w.T, got.Lease)
				})
			})
		}
	}
}

// Release asks again while the answer does not come, and knows that it may have been lost.
func TestLeaseReleaseIsRepeated(t *testing.T) {
	inWorld(t, func(w *world) {
		lost := 0
		w.set(func(server http.Handler, rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/release") && lost < 3 {
				lost++
				server.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			server.ServeHTTP(rw, r)
		})
		release(w.T, acquire(w.T, w.client(), "a", client.AcquireOptions{}))
		w.expectFree("a")

		// Even if the server does not remember.
		lost = 0
		w.set(answering("release", func(rw http.ResponseWriter, r *http.Request) {
			if lost++; lost == 1 {
				panic(http.ErrAbortHandler)
			}
			page(409, "", `{"code":"not_held"}`)(rw, r)
		}))
		release(w.T, acquire(w.T, w.client(), "b", client.AcquireOptions{}))

		// For ten seconds, or as long as the caller wants.
		l := acquire(w.T, w.client(), "c", client.AcquireOptions{})
		w.stop()
		began := time.Now()
		if err := l.Release(w.Context()); !isUnreachable(err) || time.Since(began) > 10*time.Second || time.Since(began) < 8*time.Second {
			w.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := l.Release(ctx); !isUnreachable(err) || time.Since(began) > time.Second {
			w.Errorf("after %s: %v", time.Since(began), err)
		}
		w.start()
		w.set(passOn)
		release(w.T, l)
		release(w.T, l) // no harm
		w.expectFree("c")
	})
}

// The context of a lease has the values of Acquire's, but does not end with it.
func TestLeaseContextOutlivesThatOfAcquire(t *testing.T) {
	inWorld(t, func(w *world) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(w.Context(), key{}, "value"))
		l, err := w.client().Acquire(ctx, "a", client.AcquireOptions{})
		if err != nil {
			w.Fatal(err)
		}
		cancel()
		time.Sleep(2 * time.Minute)
		if l.Context().Err() != nil || l.Context().Value(key{}) != "value" {
			w.Errorf("%v, %v", context.Cause(l.Context()), l.Context().Value(key{}))
		}
		release(w.T, l)
	})
}

// Each method that is not Acquire sends one request, also where package net/http would send
// another by itself: over a kept connection that was cut.
func TestClientSendsOneRequest(t *testing.T) {
	for verb, send := range map[string]func(context.Context, *client.Client) error{
		"acquire": func(ctx context.Context, c *client.Client) error {
			_, err := c.AcquireOnce(ctx, client.AcquireRequest{Name: "a", Key: "sixteen-characters"})
			return err
		},
		"renew":   func(ctx context.Context, c *client.Client) error { _, err := c.Renew(ctx, "a", "id", 0); return err },
		"release": func(ctx context.Context, c *client.Client) error { _, err := c.Release(ctx, "a", "id"); return err },
		"break": func(ctx context.Context, c *client.Client) error {
			_, err := c.Break(ctx, client.BreakRequest{Name: "a", Reason: "test"})
			return err
		},
	} {
		t.Run(verb, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c := w.client()
				if _, err := c.AcquireOnce(w.Context(), client.AcquireRequest{Name: "b"}); err != nil { // a connection to keep
					w.Fatal(err)
				}
				before := len(w.sent(verb))
				w.set(func(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
					drain(r)
					panic(http.ErrAbortHandler)
				})
				if err := send(w.Context(), c); !isUnreachable(err) {
					w.Errorf("it ended with %v", err)
				}
				if n := len(w.sent(verb)) - before; n != 1 {
					w.Errorf("it sent %d requests", n)
				}
			})
		})
	}
}

func TestErrorsHaveAMeaningForEveryCode(t *testing.T) {
	codes := map[string]bool{}
	for _, m := range client.Meanings {
		codes[strings.TrimPrefix(m.Error(), "the code is ")] = true
	}
	if len(codes) != len(client.Meanings) || len(codes) != len(api.Codes()) {
		t.Errorf("%d codes, %d meanings of %d codes", len(api.Codes()), len(client.Meanings), len(codes))
	}
	for _, code := range api.Codes() {
		is := 0
		for _, m := range client.Meanings {
			if errors.Is(&client.Error{Problem: api.Problem{Code: code}}, m) {
				is++
			}
		}
		if !codes[string(code)] || is != 1 {
			t.Errorf("%s has %d meanings", code, is)
		}
	}
}

package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// A client that gives up at any moment leaves neither a lease nor a listener in the queue, whether
// proxies pass on that it has left or not, and whether its answers arrive or not.
func TestAcquireLeavesNothingBehind(t *testing.T) {
	for what, p := range map[string]proxy{
		"directly":                 passOn,
		"behind a gateway":         gateway(time.Hour, false, page(504, "", "")),
		"behind a deaf gateway":    gateway(time.Hour, true, page(504, "", "")),
		"without half the answers": losing(2, "acquire"),
		"without many answers":     losing(3, "acquire", "renew", "release"),
	} {
		t.Run(what, func(t *testing.T) {
			for range 60 {
				inWorld(t, func(w *world) {
					w.set(p)
					other := acquire(w.T, w.client(), "a", client.AcquireOptions{TTL: 5 * time.Minute})
					ctx, cancel := context.WithCancelCause(w.Context())
					enough := errors.New("enough")
					time.AfterFunc(rand.N(40*time.Second), func() { cancel(enough) })
					freed := time.AfterFunc(rand.N(40*time.Second), func() { _ = other.Release(w.Context()) })
					got := <-w.acquiring(ctx, "a", client.AcquireOptions{Wait: -1, Slice: 7 * time.Second})
					if got.err == nil {
						if err := got.Release(w.Context()); err != nil {
							w.Error(err)
						}
					} else if !errors.Is(got.err, enough) {
						w.Errorf("it ended with %v", got.err)
					}
					if freed.Stop() {
						_ = other.Release(w.Context())
					}
					w.set(passOn)
					time.Sleep(11 * time.Second) // a release may have been in the air
					w.expectFree("a")
				})
			}
		})
	}
}

// losing is a proxy that loses every nth answer to some operations after the server has acted.
func losing(n int, verbs ...string) proxy {
	return func(server http.Handler, w http.ResponseWriter, r *http.Request) {
		for _, verb := range verbs {
			if strings.HasSuffix(r.URL.Path, "/"+verb) && rand.IntN(n) == 0 {
				server.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
		}
		server.ServeHTTP(w, r)
	}
}

// A grant whose answer was lost is asked for again with the same key, and is the same.
func TestAcquireFindsItsGrantAfterALostAnswer(t *testing.T) {
	for what, wait := range map[string]time.Duration{"without waiting": 0, "waiting": time.Minute} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				lost := false
				w.set(func(server http.Handler, rw http.ResponseWriter, r *http.Request) {
					if !lost {
						lost = true
						server.ServeHTTP(httptest.NewRecorder(), r)
						panic(http.ErrAbortHandler)
					}
					server.ServeHTTP(rw, r)
				})
				l := acquire(w.T, w.client(), "a", client.AcquireOptions{Wait: wait})
				if sent := w.sent("acquire"); len(sent) != 2 || sent[0].key != sent[1].key {
					w.Errorf("asked %+v", sent)
				}
				if got := w.look("a").Lease; got == nil || got.FencingToken != l.Token() {
					w.Errorf("the lease is %+v, want token %d", got, l.Token())
				}
				release(w.T, l)
			})
		})
	}
}

func TestAcquireWaitsOnOverRestartsOfTheServer(t *testing.T) {
	inWorld(t, func(w *world) {
		first := acquire(w.T, w.client(), "a", client.AcquireOptions{TTL: 5 * time.Minute})
		waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: -1})
		for range 5 {
			time.Sleep(rand.N(20 * time.Second))
			w.stop()
			time.Sleep(rand.N(20 * time.Second))
			w.start()
		}
		time.Sleep(3 * time.Second)
		if at := w.look("a").Waiters; len(at) != 1 || at[0].Away {
			w.Errorf("the queue is %+v", at)
		}
		release(w.T, first)
		freed := time.Now()
		second := <-waiting
		if second.err != nil || second.at.Sub(freed) > 100*time.Millisecond {
			w.Fatalf("%v, %s after the release", second.err, second.at.Sub(freed))
		}
		// The cuts were those of a server, not of a proxy.
		if n := len(w.sent("acquire")); n > 40 {
			w.Errorf("it took %d requests", n)
		}
		release(w.T, second.Lease)
	})
}

// What another request may cure is waited out, and Retry-After is obeyed; the rest is an error at
// once.
func TestAcquireKnowsWhatToWaitOut(t *testing.T) {
	problem := func(status int, code api.Code, header string) http.HandlerFunc {
		return page(status, header, `{"code":"`+string(code)+`","detail":"because"}`)
	}
	for what, tt := range map[string]struct {
		answer http.HandlerFunc
		pause  time.Duration // at least; negative: it is not waited out
		is     error
	}{
		"draining":                     {problem(503, api.CodeDraining, "Retry-After: 1"), time.Second, client.ErrDraining},
		"moved":                        {problem(503, api.CodeMoved, "Retry-After: 1"), time.Second, client.ErrMoved},
		"too late":                     {problem(503, api.CodeTooLate, ""), 0, client.ErrTooLate},
		"outcome unknown":              {problem(503, api.CodeOutcomeUnknown, ""), 0, client.ErrOutcomeUnknown},
		"policy error":                 {problem(503, api.CodePolicyError, ""), 0, client.ErrPolicyError},
		"full disk":                    {problem(507, api.CodeStorageFull, "Retry-After: 3"), 3 * time.Second, client.ErrStorageFull},
		"queue full":                   {problem(429, api.CodeQueueFull, "Retry-After: 7"), 7 * time.Second, client.ErrQueueFull},
		"quota":                        {problem(429, api.CodeQuota, "Retry-After: 90"), time.Minute, client.ErrQuota},
		"rate limit":                   {problem(429, api.CodeRateLimited, "Retry-After: 2"), 2 * time.Second, client.ErrRateLimited},
		"internal":                     {problem(500, api.CodeInternal, ""), 0, client.ErrInternal},
		"superseded by another":        {problem(409, api.CodeSuperseded, ""), 0, client.ErrSuperseded},
		"attempt over":                 {problem(409, api.CodeAttemptOver, ""), 0, client.ErrAttemptOver},
		"502 of a proxy":               {page(502, "", "<html>"), 0, nil},
		"503 of a proxy":               {page(503, "Retry-After: 600", "<html>"), 5 * time.Second, nil},
		"425 of a proxy":               {page(425, "", "<html>"), 0, nil},
		"429 of a proxy":               {page(429, "Retry-After: 2", "<html>"), 2 * time.Second, nil},
		"invalid":                      {problem(400, api.CodeInvalid, ""), -1, client.ErrInvalid},
		"unauthenticated":              {problem(401, api.CodeUnauthenticated, ""), -1, client.ErrUnauthenticated},
		"forbidden":                    {problem(403, api.CodeForbidden, ""), -1, client.ErrForbidden},
		"denied":                       {problem(403, api.CodePolicyDenied, "Retry-After: 1"), -1, client.ErrPolicyDenied},
		"too large":                    {problem(413, api.CodeTooLarge, ""), -1, client.ErrTooLarge},
		"other parameters":             {problem(422, api.CodeKeyMismatch, ""), -1, client.ErrKeyMismatch},
		"not found":                    {problem(404, api.CodeNotFound, ""), -1, client.ErrNotFound},
		"404 of something else":        {page(404, "", "<html>"), -1, nil},
		"login page":                   {page(200, "Content-Type: text/html", "<html>"), -1, nil},
		"JSON of something else":       {page(200, "Content-Type: application/json", `{"status":"ok"}`), -1, nil},
		"redirect":                     {page(302, "Location: https://login.example/", ""), -1, nil},
		"redirect that asks to repeat": {page(307, "Location: https://login.example/", ""), -1, nil},
		"nothing":                      {page(200, "", ""), -1, nil},
		"no content":                   {page(204, "", ""), -1, nil},
		"a grant of another lock":      {page(200, "", strings.Replace(aGrant, `"a"`, `"b"`, 1)), -1, nil},
		"a grant with a short id":      {page(200, "", strings.Replace(aGrant, "AAAA", "AAA", 1)), -1, nil},
		"a grant with an odd id":       {page(200, "", strings.Replace(aGrant, "AAAA", "AAA=", 1)), -1, nil},
		"a grant without token":        {page(200, "", strings.Replace(aGrant, ":7,", ":0,", 1)), -1, nil},
		"a token that is too big":      {page(200, "", strings.Replace(aGrant, ":7,", ":9007199254740992,", 1)), -1, nil},
		"a grant in an array":          {page(200, "", "["+aGrant+"]"), -1, nil},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.set(answering("acquire", tt.answer))
				var seen []client.Waiting
				waiting := w.acquiring(w.Context(), "a", client.AcquireOptions{
					Wait: 3 * time.Minute, Waiting: func(s client.Waiting) { seen = append(seen, s) },
				})
				began := time.Now()
				if tt.pause < 0 {
					got := <-waiting
					if got.err == nil || tt.is != nil && !errors.Is(got.err, tt.is) || !got.at.Equal(began) {
						w.Errorf("after %s: %v", got.at.Sub(began), got.err)
					}
					_, foreign := errors.AsType[*client.ForeignError](got.err)
					if n := len(w.sent("acquire")); n != 1 && !foreign { // then the grant might have been mangled
						w.Errorf("it sent %d requests", n)
					}
					if n := len(w.sent("renew")); n != 0 {
						w.Error("it took that for a grant")
					}
					return
				}
				for len(w.sent("acquire")) < 2 {
					time.Sleep(10 * time.Millisecond)
				}
				if d := time.Since(began); d < tt.pause || d > tt.pause+2*time.Second {
					w.Errorf("the second request came after %s, want %s", d, tt.pause)
				}
				w.set(passOn)
				got := <-waiting
				if got.err != nil {
					w.Fatal(got.err)
				}
				if len(seen) == 0 || tt.is != nil && !errors.Is(seen[0].Err, tt.is) || seen[0].RetryIn < tt.pause {
					w.Errorf("it reported %+v", seen)
				}
				release(w.T, got.Lease)
			})
		})
	}
}

const aGrant = `{"name":"a","lease_id":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","fencing_token":7,"account":"local","holder":"",` +
	`"ttl_ms":60000,"expires_in_ms":60000,"server_ms":0}`

// When the wait is over, the error is the last answer.
func TestAcquireEndsWithTheLastAnswer(t *testing.T) {
	const wait = 40 * time.Second
	for what, tt := range map[string]struct {
		disturb func(*world)
		right   func(error) bool
	}{
		"held":                {func(*world) {}, func(err error) bool { return errors.Is(err, client.ErrHeld) }},
		"503":                 {func(w *world) { w.set(answering("acquire", page(503, "", ""))) }, func(err error) bool { e, is := errors.AsType[*client.Error](err); return is && e.Status == 503 }},
		"no server":           {func(w *world) { w.stop() }, isUnreachable},
		"a server that hangs": {func(w *world) { w.set(answering("acquire", hang)) }, isUnreachable},
	} {
		for _, wait := range []time.Duration{0, wait} {
			t.Run(what+" "+wait.String(), func(t *testing.T) {
				inWorld(t, func(w *world) {
					other := acquire(w.T, w.client(), "a", client.AcquireOptions{TTL: 10 * time.Minute})
					tt.disturb(w)
					began := time.Now()
					reports := 0
					got := <-w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: wait, Waiting: func(client.Waiting) { reports++ }})
					if took := got.at.Sub(began); !tt.right(got.err) || took < wait || took > wait+9*time.Second {
						w.Errorf("after %s: %v", took, got.err)
					}
					if (reports > 0) != (wait > 0) {
						w.Errorf("it reported %d times", reports)
					}
					w.set(passOn)
					if w.listener == nil {
						w.start()
					}
					release(w.T, other)
					w.expectFree("a")
				})
			})
		}
	}
}

// What Acquire says when its context ends is found in its error: the cause, and the last answer.
func TestAcquireEndsWithItsContext(t *testing.T) {
	inWorld(t, func(w *world) {
		other := acquire(w.T, w.client(), "a", client.AcquireOptions{Holder: "ci-1"})
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		got := <-w.acquiring(ctx, "a", client.AcquireOptions{Wait: -1, Waiting: func(client.Waiting) {}})
		if !errors.Is(got.err, context.DeadlineExceeded) || !errors.Is(got.err, client.ErrHeld) || !strings.Contains(got.err.Error(), `"ci-1"`) {
			w.Errorf("it ended with %v", got.err)
		}
		if took := got.at.Sub(began); took != time.Minute {
			w.Errorf("it took %s", took)
		}
		synctest.Wait()
		release(w.T, other)
		w.expectFree("a")
	})
}

// Somebody who watches the wait learns soon who has the lock, and the place in its queue.
func TestAcquireReportsTheHolder(t *testing.T) {
	inWorld(t, func(w *world) {
		first := acquire(w.T, w.client(), "a", client.AcquireOptions{Holder: "ci-1"})
		second := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: -1})
		var seen []client.Waiting
		third := w.acquiring(w.Context(), "a", client.AcquireOptions{Wait: -1, Waiting: func(s client.Waiting) { seen = append(seen, s) }})
		time.Sleep(time.Minute)
		release(w.T, first)
		release(w.T, (<-second).Lease)
		release(w.T, (<-third).Lease)
		if len(seen) != 5 || seen[0].Waited != 250*time.Millisecond {
			w.Fatalf("it reported %+v", seen)
		}
		for _, s := range seen {
			if !errors.Is(s.Err, client.ErrHeld) || s.Held == nil || s.Held.Lease.Holder != "ci-1" || s.Held.Position != 2 || s.Held.Waiters != 2 {
				w.Errorf("it reported %v, %+v", s.Err, s.Held)
			}
		}
	})
}

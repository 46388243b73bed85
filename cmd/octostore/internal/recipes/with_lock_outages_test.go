//go:build unix

package recipes_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// unstartedFront is a reverse proxy over HTTP in front of a server. What answers does
// not answer itself is passed on.
func unstartedFront(t *testing.T, addr string, answers func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answers(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front
}

// newFront is unstartedFront, started.
func newFront(t *testing.T, addr string, answers func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	front := unstartedFront(t, addr, answers)
	front.Start()
	return front
}

// everySecond has every other acquire fail; the others are passed on. It counts them.
func everySecond(count *atomic.Int64, fail http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/acquire") || count.Add(1)%2 == 1 {
			return false
		}
		fail(w, r)
		return true
	}
}

// after answers after a second.
func after(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		answer(w, r)
	}
}

// disturbed starts a proxy that disturbs waiting clients in some way. It returns its URL,
// and settings for with-lock.sh.
type disturbed func(t *testing.T, p *octotest.Server, count *atomic.Int64) (url string, settings []string)

func answering(fail http.HandlerFunc) disturbed {
	return func(t *testing.T, p *octotest.Server, count *atomic.Int64) (string, []string) {
		return newFront(t, p.Addr, everySecond(count, fail)).URL, nil
	}
}

// cutting cuts every connection after a second.
func cutting(t *testing.T, p *octotest.Server, count *atomic.Int64) (string, []string) {
	w := (&wire{to: newFront(t, p.Addr, func(http.ResponseWriter, *http.Request) bool {
		count.Add(1)
		return false
	}).Listener.Addr().String(), most: time.Second}).start(t)
	return "http://" + w.Addr, nil
}

// cuttingHTTP2 does so over TLS, where requests are streams of a connection.
func cuttingHTTP2(t *testing.T, p *octotest.Server, count *atomic.Int64) (string, []string) {
	front := unstartedFront(t, p.Addr, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.ProtoMajor == 2 {
			count.Add(1)
		}
		return false
	})
	front.EnableHTTP2 = true
	front.StartTLS()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := (&wire{to: front.Listener.Addr().String(), most: time.Second}).start(t)
	return "https://" + w.Addr, []string{"OCTOSTORE_CA_FILE=" + authority}
}

func TestWithLockKeepsItsPlaceWhateverProxiesDo(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	p := octotest.Start(t, t.TempDir())
	for what, begin := range map[string]disturbed{
		"cut":               cutting,
		"cut over HTTP/2":   cuttingHTTP2,
		"abort":             answering(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"502":               answering(page(502, "", "<html>")),
		"503":               answering(page(503, "Retry-After: 1", "<html>")),
		"504 after a while": answering(after(page(504, "", "<html>"))),
		"524 after a while": answering(after(page(524, "", "<html>"))),
		"408":               answering(page(408, "", "")),
		"429":               answering(page(429, "Retry-After: 1", "<html>")),
		"half an answer": answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "51")
			_, _ = w.Write([]byte(aGrant[:40])) // the client may have left
			panic(http.ErrAbortHandler)
		}),
	} {
		beside(&all, t, what, func(t *testing.T) {
			eachShell(t, func(t *testing.T, sh shell) {
				var count atomic.Int64
				url, settings := begin(t, p, &count)
				name := "disturbed/" + strings.ReplaceAll(strings.ReplaceAll(what, " ", "-"), "/", "-") + "/" + sh.name
				other := p.Take(t, name, "?ttl=1h")
				r := sh.start(t, url, settings, name, "/bin/echo", "ran")
				since := withLockWaits(t, p, name).Since
				octotest.WaitUntil(t, "it has asked often", func() bool { return count.Load() >= 5 })
				if w := p.Look(name).Waiters; len(w) != 1 || !w[0].Since.Equal(since) {
					t.Errorf("it has lost its place of %s: %+v", since, w)
				}
				octotest.Expect(t, p.Release(other), 200, "")
				r.ends(t, 0)
				if r.out.String() != "ran\n" {
					t.Errorf("it printed %q", r.out.String())
				}
				expectFree(t, p, name)
			})
		})
	}
}

// restarted starts a server again where it was.
func restarted(t *testing.T, p *octotest.Server, dir string, environ ...string) *octotest.Server {
	t.Helper()
	return octotest.Start(t, dir, append([]string{"OCTOSTORE_ADDR=" + p.Addr}, environ...)...)
}

func TestWithLockWaitsOnOverRestartsOfTheServer(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachShell(t, func(t *testing.T, sh shell) {
		dir := t.TempDir()
		p := octotest.Start(t, dir)
		other := p.Take(t, "a", "?ttl=1h")
		r := sh.start(t, "http://"+p.Addr, []string{"LOCK_SLICE=25s"}, "a", "/bin/echo", "ran")
		for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			withLockWaits(t, p, "a")
			if err := p.Signal(s); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Wait(octotest.Patient); err != nil {
				t.Fatal(err)
			}
			p = restarted(t, p, dir)
		}
		withLockWaits(t, p, "a")
		octotest.Expect(t, p.Release(other), 200, "")
		r.ends(t, 0, "asking again")
		expectFree(t, p, "a")
	})
}

func TestWithLockKeepsItsLeaseOverRestartsOfTheServer(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachShell(t, func(t *testing.T, sh shell) {
		dir, work := t.TempDir(), t.TempDir()
		p := octotest.Start(t, dir)
		r := sh.start(t, "http://"+p.Addr, []string{"LOCK_TTL=12s"}, command("a", "cd "+work+"; touch runs; until [ -e go ]; do sleep 0.1; done")...)
		octotest.WaitUntil(t, "the command runs", func() bool { return isThere(work, "runs") })
		token := p.Look("a").Lease.FencingToken
		for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			if err := p.Signal(s); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Wait(octotest.Patient); err != nil {
				t.Fatal(err)
			}
			p = restarted(t, p, dir)
			before := p.Look("a").Lease
			if before == nil || before.FencingToken != token {
				t.Fatalf("after the restart the lease is %+v", before)
			}
			octotest.WaitUntil(t, "it is renewed", func() bool {
				l := p.Look("a").Lease
				return l != nil && l.FencingToken == token && l.ExpiresAt.Sub(before.ExpiresAt) > time.Second
			})
		}
		if err := os.WriteFile(filepath.Join(work, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.ends(t, 0)
		expectFree(t, p, "a")
	})
}

// The command is told before the lease ends. It is not a success then, unless the
// command says itself how it ended.
func TestWithLockEndsACommandThatLosesItsLease(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	breaks := func(t *testing.T, p *octotest.Server) {
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/break?reason=test"), 200, "")
	}
	goes := func(_ *testing.T, p *octotest.Server) { p.Kill() }
	for what, lose := range map[string]func(*testing.T, *octotest.Server){"broken": breaks, "server gone": goes} {
		for does, status := range map[string]int{"trap 'exit 3' TERM": 3, "trap 'exit 0' TERM": 79, ":": 79} {
			beside(&all, t, what+" "+does, func(t *testing.T) {
				eachShell(t, func(t *testing.T, sh shell) {
					p, work := octotest.Start(t, t.TempDir()), t.TempDir()
					r := sh.start(t, "http://"+p.Addr, nil, command("a", does+"; cd "+work+"; touch runs; while :; do sleep 0.1; done")...)
					octotest.WaitUntil(t, "the command runs", func() bool { return isThere(work, "runs") })
					lose(t, p)
					r.ends(t, status, "the command was sent SIGTERM", "the lease ended before the command did")
				})
			})
		}
	}
}

// A command that ends with a status of its own keeps it, also if its lease ended
// unnoticed before.
func TestWithLockKeepsTheStatusOfACommandWhoseLeaseIsOver(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachShell(t, func(t *testing.T, sh shell) {
		for does, status := range map[string]int{"exit 3": 3, "exit 0": 79} {
			p, work := octotest.Start(t, t.TempDir()), t.TempDir()
			r := sh.start(t, "http://"+p.Addr, []string{"LOCK_TTL=1h"}, command("a", "cd "+work+"; touch runs; until [ -e go ]; do sleep 0.1; done; "+does)...)
			octotest.WaitUntil(t, "the command runs", func() bool { return isThere(work, "runs") })
			octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/break?reason=test"), 200, "")
			if err := os.WriteFile(filepath.Join(work, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r.ends(t, status, "the lease ended before the command did")
		}
	})
}

func TestWithLockSaysThatTheServerIsNotThere(t *testing.T) {
	t.Parallel()                         // it waits more than it works
	const nothing = "http://127.0.0.1:1" // a port that no test and hardly anybody listens on
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.start(t, nothing, []string{"LOCK_WAIT=2s"}, "a", "/bin/echo", "ran")
		r.ends(t, 69, "no answer from "+nothing, "asking again", "no lock after 2s")
		if r.out.String() != "" {
			t.Error("the command ran")
		}
	})
}

// A server that is killed ends requests over HTTP/2 in other ways than over HTTP/1.1.
func TestWithLockWaitsOnOverAKilledServerWithTLS(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachShell(t, func(t *testing.T, sh shell) {
		dir := t.TempDir()
		cert, key := octotest.WriteCertificate(t, dir, "locks", time.Now().Add(time.Hour))
		environ := []string{"OCTOSTORE_TLS_CERT=" + cert, "OCTOSTORE_TLS_KEY=" + key}
		p := octotest.Start(t, dir, environ...)
		c := octotest.Trusting(t, cert)
		ask := func(method, path string) (l api.Lock, g api.Grant) {
			request, err := http.NewRequest(method, "https://"+p.Addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Close = true
			response, err := c.Do(request)
			if err != nil {
				return l, g
			}
			defer response.Body.Close()
			if method == "GET" {
				_ = json.NewDecoder(response.Body).Decode(&l) // then it has no state
			} else {
				_ = json.NewDecoder(response.Body).Decode(&g) // then it has no lease id
			}
			return l, g
		}
		_, other := ask("POST", "/v1/locks/a/acquire?ttl=1h")
		r := sh.start(t, "https://"+p.Addr, []string{"OCTOSTORE_CA_FILE=" + cert, "LOCK_SLICE=25s"}, "a", "/bin/echo", "ran")
		for range 2 {
			octotest.WaitUntil(t, "it waits", func() bool {
				l, _ := ask("GET", "/v1/locks/a")
				return l.WaitersTotal == 1
			})
			p.Kill()
			p = restarted(t, p, dir, environ...)
		}
		octotest.WaitUntil(t, "it waits again", func() bool {
			l, _ := ask("GET", "/v1/locks/a")
			return l.WaitersTotal == 1
		})
		ask("POST", "/v1/locks/a/release?lease_id="+other.LeaseID)
		r.ends(t, 0, "asking again")
	})
}

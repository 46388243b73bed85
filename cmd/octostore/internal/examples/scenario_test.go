//go:build unix

package examples_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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

// scenarios are what the examples go through. The first run in TestLockExamples only.
var scenarios = []struct {
	name    string
	skipped func(l language) bool // nil: every language goes through it
	run     func(t *testing.T, command []string)
}{
	{"waits, works over a SIGKILL of the server, and gives the lock back", language.isAgain, worksOverAKill},
	{"stops before its lease ends if it cannot be renewed", language.isAgain, stopsInTime},
	{"stops when it has slept for longer than its lease", language.isAgain, stopsAfterASleep},
	{"waits out what passes, and obeys Retry-After", language.isAgain, waitsItOut},
	{"keeps its place when connections are cut", language.isNoScript, keepsItsPlace},
	{"killed while it waits, leaves no ghost", language.isNoScript, leavesNoGhost},
	{"stops when its lease is broken", nil, stopsWhenBroken},
	{"shows why it was denied, but not its token", nil, showsDenials},
	{"gives the lock back at SIGTERM", language.hasNoSIGTERM, givesBackAtSIGTERM},
	{"takes nothing else for a grant", nil, takesNothingElse},
	{"trusts no unknown certificate", nil, trustsNoUnknownCertificate},
	{"asks again when answers are lost", nil, asksAgain},
	{"says who has the lock when its time is over", nil, saysWhoHasIt},
}

const longScenarios = 6 // of them, the first

func TestLockExamples(t *testing.T) {
	t.Parallel() // it waits more than it works
	if testing.Short() {
		t.Skip("SKIP: the race detector has nothing to find in other languages")
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, l := range languages {
		all.Go(func() {
			t.Run(l.name, func(t *testing.T) {
				command := l.command(t)
				if !l.again {
					t.Run("runs as the page says", func(t *testing.T) { runPage(t, l, l.kept()) })
				}
				if l.name == "python" { // the others are run by TestLockExampleInPython
					goThrough(t, l, command, 0, longScenarios)
				} else {
					goThrough(t, l, command, 0, len(scenarios))
				}
			})
		})
	}
}

func TestLockExampleInPython(t *testing.T) {
	t.Parallel() // it waits more than it works
	python := languages[0]
	goThrough(t, python, python.command(t), longScenarios, len(scenarios))
}

// slots bounds how many examples run at a time. They wait more than they work, but on a
// machine that does not keep up their short leases end.
var slots = make(chan struct{}, 16)

func goThrough(t *testing.T, l language, command []string, first, end int) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, s := range scenarios[first:end] {
		if s.skipped != nil && s.skipped(l) {
			continue
		}
		all.Go(func() {
			t.Run(s.name, func(t *testing.T) {
				slots <- struct{}{}
				defer func() { <-slots }()
				s.run(t, command)
			})
		})
	}
}

func worksOverAKill(t *testing.T, command []string) {
	dir, name := t.TempDir(), "work/v1.2+fix/@ci:~1"
	p := octotest.Start(t, dir)
	other := p.Take(t, name, "?ttl=1h")
	r := start(t, command, p.Addr, name, "15", shortly)
	r.waits(t, p, name)
	octotest.Expect(t, p.Release(other), 200, "")
	first := r.works(t, p, name)
	if first.TTLMS != shortTTL.Milliseconds() || first.FencingToken <= other.FencingToken {
		t.Errorf("the lease is %+v", first)
	}
	renewed := func(p *octotest.Server, since time.Time) {
		octotest.WaitUntil(t, "the lease is renewed", func() bool {
			l := p.Look(name).Lease
			return l != nil && l.ExpiresAt.Sub(since) > time.Second || isOver(r.done)
		})
	}
	renewed(p, first.ExpiresAt)
	p.Kill()
	p = octotest.Start(t, dir, "OCTOSTORE_ADDR="+p.Addr)
	renewed(p, leaseOf(t, p, name).ExpiresAt)
	r.ends(t, 0)
	for _, token := range r.written(t) {
		if token != fmt.Sprint(first.FencingToken) {
			t.Errorf("it wrote %s with the lease of %d", token, first.FencingToken)
		}
	}
	if l := p.Look(name); l.State != api.Free || r.errs.String() != "" {
		t.Errorf("after its end the lock is %+v; it said %q", l, r.errs.String())
	}
}

func keepsItsPlace(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	c := newCable(t, p.Addr)
	other := p.Take(t, "a", "?ttl=1h")
	r := start(t, command, c.Addr().String(), "a", "2")
	since := r.waits(t, p, "a").Since
	next := p.Enqueue(t, "a", "", 2)
	for range 3 {
		c.cut()
		octotest.WaitUntil(t, "it is away", func() bool { return isAway(p, "a") })
		octotest.WaitUntil(t, "it is back", func() bool { return !isAway(p, "a") })
	}
	if l := p.Look("a"); l.WaitersTotal != 2 || !l.Waiters[0].Since.Equal(since) {
		t.Fatalf("it has lost its place: %+v", l)
	}
	octotest.Expect(t, p.Release(other), 200, "")
	r.works(t, p, "a")
	r.ends(t, 0)
	octotest.Expect(t, next.Receive(octotest.Patient), 200, `"lease_id"`)
}

func isAway(p *octotest.Server, name string) bool {
	l := p.Look(name)
	return len(l.Waiters) > 0 && l.Waiters[0].Away
}

func leavesNoGhost(t *testing.T, command []string) {
	const grace = 10 * time.Second // for which a place is kept
	p := octotest.Start(t, t.TempDir())
	other := p.Take(t, "a", "?ttl=1h")
	r := start(t, command, p.Addr, "a", "1")
	r.waits(t, p, "a")
	r.kill()
	killed := time.Now()
	octotest.WaitUntil(t, "the server has noticed", func() bool { return isAway(p, "a") || p.Look("a").WaitersTotal == 0 })
	octotest.Expect(t, p.Release(other), 200, "")
	octotest.Expect(t, p.Release(p.Take(t, "a", "")), 200, "") // it is in nobody's way
	octotest.WaitUntil(t, "its place is given up", func() bool { return p.Look("a").WaitersTotal == 0 })
	if took := time.Since(killed); took > grace+octotest.Promptly {
		t.Errorf("its place was given up after %s", took)
	}
	if l := p.Look("a"); l.State != api.Free || len(r.written(t)) > 0 {
		t.Errorf("a process that was killed while it waited has the lock: %+v", l)
	}
}

// Until it works, renewals are answered late: they count from before they were sent. Later ones
// get no answer, or the beginning of one.
func stopsInTime(t *testing.T, command []string) {
	const late = 2 * time.Second
	p := octotest.Start(t, t.TempDir())
	behind := passOn(p.Addr)
	var works atomic.Bool
	var hung atomic.Int64
	addr := newFront(t, p.Addr, func(w http.ResponseWriter, r *http.Request, verb string) bool {
		if verb != "renew" {
			return false
		}
		if !works.Load() {
			answer := httptest.NewRecorder()
			behind.ServeHTTP(answer, r)
			time.Sleep(late)
			_, _ = w.Write(answer.Body.Bytes())
			return true
		}
		_, _ = io.Copy(io.Discard, r.Body) // else a hang-up is not noticed
		if hung.Add(1)%2 == 0 {
			_, _ = io.WriteString(w, `{"name":`)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		return true
	})
	const ttl = 3 * shortTTL / 2 // so that the margin of a sixth is enough for a busy machine
	r := start(t, command, addr, "a", "60", fmt.Sprintf("LOCK_TTL=%d", ttl/time.Second))
	lease := r.works(t, p, "a")
	works.Store(true)
	r.ends(t, 79, "lost")
	last, err := os.Stat(r.file)
	if err != nil {
		t.Fatal(err)
	}
	if spare := lease.ExpiresAt.Sub(last.ModTime()); spare < ttl/12 || hung.Load() == 0 {
		t.Errorf("its last write was %s before its lease ended, after %d renewals without an answer", spare, hung.Load())
	}
	if l := p.Look("a"); l.State != api.Free {
		t.Errorf("it did not give the lease back: %+v", l)
	}
}

// A process that was paused may be about to write when it goes on, which is what fencing tokens
// are for; but it must notice by itself, and write no more than that.
func stopsAfterASleep(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	r := start(t, command, p.Addr, "a", "60", shortly)
	lease := r.works(t, p, "a")
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGSTOP) // its group is there
	octotest.WaitUntil(t, "its lease is over", func() bool { return p.Look("a").State == api.Free })
	next := p.Take(t, "a", "?ttl=1h")
	before := len(r.written(t))
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGCONT)
	r.ends(t, 79, "lost")
	if late := len(r.written(t)) - before; late > 2 || next.FencingToken <= lease.FencingToken {
		t.Errorf("it wrote %d times after the lock was granted to another client", late)
	}
	octotest.Expect(t, p.Release(next), 200, "") // it has not released what is not its own
}

func stopsWhenBroken(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	r := start(t, command, p.Addr, "a", "60", shortly)
	r.works(t, p, "a")
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/break?reason=an+emergency"), 200, "")
	broken := time.Now()
	r.ends(t, 79, "lost")
	if took := r.ended.Sub(broken); took > shortTTL/3+octotest.Promptly {
		t.Errorf("it worked for %s after its lease was broken", took)
	}
}

func givesBackAtSIGTERM(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	r := start(t, command, p.Addr, "a", "60")
	r.works(t, p, "a")
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.ends(t, 143)
	if l := p.Look("a"); l.State != api.Free {
		t.Errorf("after its end: %+v", l)
	}
}

func showsDenials(t *testing.T, command []string) {
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "closed.wasm"), "holidays")
	secret := strings.Repeat("s3cr3t", 10)
	for file, text := range map[string]string{
		"policies.json": `{"policies":[{"name":"freeze","module":"closed.wasm","match":["prod/**"]}]}`,
		"tokens":        "ci:" + secret + ":acquire:prod/**\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := octotest.Start(t, dir, "OCTOSTORE_POLICIES=policies.json", "OCTOSTORE_TOKENS_FILE=tokens")
	for name, c := range map[string]struct {
		token string
		says  []string
	}{
		"prod/db":  {secret, []string{"freeze", "closed for the holidays"}},
		"stage/db": {secret + "\n", []string{"acquire"}}, // as files of secrets end
		"prod/web": {"wrong", []string{"token"}},
	} {
		r := start(t, command, p.Addr, name, "1", "OCTOSTORE_TOKEN="+c.token)
		r.ends(t, 77, c.says...)
		if len(r.written(t)) > 0 || strings.Contains(r.errs.String()+r.out.String(), secret) {
			t.Errorf("%s: it worked, or printed its token: %s", name, r.errs.String())
		}
	}
}

func takesNothingElse(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	for _, answer := range []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Log in")) },
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"lease_id":"","fencing_token":0}`))
		},
		func(w http.ResponseWriter, _ *http.Request) { // without the time that it is for
			_, _ = w.Write([]byte(`{"lease_id":"AAawlrOwAAICeNu2kfwKs3TGIjgSqO4_","fencing_token":7}`))
		},
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+p.Addr+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		},
	} {
		addr := newFront(t, p.Addr, func(w http.ResponseWriter, r *http.Request, verb string) bool {
			answer(w, r)
			return true
		})
		r := start(t, command, addr, "a", "1")
		r.ends(t, 69)
		if len(r.written(t)) > 0 || p.Look("a").State != api.Free {
			t.Errorf("it worked: %s", r.out.String())
		}
	}
}

func trustsNoUnknownCertificate(t *testing.T, command []string) {
	var asked atomic.Int64
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	front.StartTLS()
	defer front.Close()
	start(t, command, "", "a", "1", "LOCK_WAIT=1", "OCTOSTORE_TOKEN=secret", "OCTOSTORE_URL="+front.URL).ends(t, 69)
	if asked.Load() != 0 {
		t.Errorf("it has sent %d requests to a server with a certificate of its own", asked.Load())
	}
}

// Every verb is done, but the first answer to it is lost.
func asksAgain(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	behind := passOn(p.Addr)
	var seen sync.Map
	addr := newFront(t, p.Addr, func(w http.ResponseWriter, r *http.Request, verb string) bool {
		if _, again := seen.LoadOrStore(verb, true); again {
			return false
		}
		lost := httptest.NewRecorder()
		behind.ServeHTTP(lost, r)
		if lost.Code != 200 {
			t.Errorf("%s: %d %s", verb, lost.Code, lost.Body)
		}
		cut(w)
		return true
	})
	r := start(t, command, addr, "a", "1")
	r.works(t, p, "a")
	r.ends(t, 0)
	if l := p.Look("a"); l.State != api.Free {
		t.Errorf("after its end: %+v", l)
	}
}

func waitsItOut(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	var n atomic.Int64
	var limited, after time.Time
	keys := map[string]bool{}
	addr := newFront(t, p.Addr, func(w http.ResponseWriter, r *http.Request, verb string) bool {
		if verb != "acquire" {
			return false
		}
		keys[r.Header.Get("Idempotency-Key")] = true
		switch n.Add(1) {
		case 1:
			http.Error(w, "<html>Bad Gateway", http.StatusBadGateway)
		case 2:
			cut(w)
		case 3:
			limited = time.Now()
			w.Header().Set("Retry-After", "3")
			http.Error(w, `{"code":"rate_limited","detail":"too many"}`, http.StatusTooManyRequests)
		case 4:
			after = time.Now()
			http.Error(w, `{"code":"draining","detail":"the server is stopping"}`, http.StatusServiceUnavailable)
		default:
			return false
		}
		return true
	})
	r := start(t, command, addr, "a", "1")
	r.works(t, p, "a")
	r.ends(t, 0)
	if pause := after.Sub(limited); pause < 2900*time.Millisecond || len(keys) != 1 {
		t.Errorf("it asked again after %s, with %d keys", pause, len(keys))
	}
}

func saysWhoHasIt(t *testing.T, command []string) {
	p := octotest.Start(t, t.TempDir())
	// The metadata of a holder is no part of the answer, whatever its names are.
	p.Take(t, "a", "?ttl=1h&holder=ci-4711&meta.code=policy_denied&meta.detail=nonsense")
	r := start(t, command, p.Addr, "a", "1", "LOCK_WAIT=2")
	r.ends(t, 75, "ci-4711")
	if len(r.written(t)) > 0 {
		t.Error("it worked")
	}
	start(t, command, p.Addr, "a b", "1").ends(t, 64, "name")
}

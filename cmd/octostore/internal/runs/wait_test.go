//go:build unix

package runs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/runner"
	"github.com/octostore/octostore/transport/api"
)

// waits waits until a run waits for a lock, and returns its place.
func (r *wrapped) waits(t *testing.T, p *octotest.Server, name, holder string) (place api.Waiter) {
	t.Helper()
	octotest.WaitUntil(t, holder+" waits for "+name, func() bool {
		for _, w := range p.Look(name).Waiters {
			if w.Holder == holder && !w.Away {
				place = w
				return true
			}
		}
		return false
	})
	return place
}

// etcdctl lock, consul lock and flock say nothing while they wait.
func TestRunUnlikeOthersSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	g := p.Take(t, "a", "?holder=ci-4711&ttl=5m")
	p.Enqueue(t, "a", "&holder=before", 1)
	r := start(t, p, "--holder", "us", "a", "--", "true")
	r.says(t, "You are 2nd of 2, waiting ")
	held := regexp.MustCompile(`^octostore: a is held by ci-4711 \(local\) for [0-9]+s, at most 4m[0-9]+s more\. You are 2nd of 2, waiting `)
	if said := r.errs.String(); !held.MatchString(said) {
		t.Errorf("it says %s", said)
	}
	octotest.Expect(t, p.Release(g), 200, "")
	r.says(t, "octostore: a is held by before (local)")
	r.says(t, "You are 1st of 1, waiting ")
	r.waits(t, p, "a", "us")
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/break?reason=test"), 200, "")
	r.ends(t, 0)
	if lines := strings.Count(r.errs.String(), "\n"); lines > 4 {
		t.Errorf("it says more than what changes:\n%s", r.errs.String())
	}
}

// A short wait needs no words.
func TestRunSaysNothingAboutAShortWait(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	g := p.Take(t, "a", "?ttl=5m")
	r := start(t, p, "--holder", "us", "a", "--", "sh", "-c", "echo $OCTOSTORE_WAITED_MS")
	r.waits(t, p, "a", "us")
	octotest.Expect(t, p.Release(g), 200, "")
	r.ends(t, 0)
	if r.errs.String() != "" && p.Metric("octostore_waiters") >= 0 {
		t.Logf("the machine is slow: %q", r.errs.String())
	}
}

// Without the permission to read the lock, the answers to acquires have to do.
func TestRunWaitsWithoutReading(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	admin := createToken(t, p, "", "--admin", "--account", "ops")
	acquire := createToken(t, p, admin, "--account", "ci", "--scope", "acquire:a/**")
	got := octotest.CallAs(admin, "POST", p.Addr, "/v1/locks/a/b/acquire?ttl=5m&holder=ci-4711")
	octotest.Expect(t, got, 200, "lease_id")
	r := prepare(t, "http://"+p.Addr, []string{"OCTOSTORE_TOKEN=" + acquire}, "--wait", "2s", "a/b", "true").begin(t)
	r.ends(t, 75, "octostore: Waiting for a/b", "octostore: a/b: not acquired in 2s: the lock is held")
	if strings.Contains(r.errs.String(), "ci-4711") {
		t.Errorf("it knows more than it may:\n%s", r.errs.String())
	}
}

// createToken returns a new token, which is created with the token of an administrator.
func createToken(t *testing.T, p *octotest.Server, admin string, args ...string) string {
	t.Helper()
	got := octotest.RunWith(t, []string{"OCTOSTORE_URL=http://" + p.Addr, "OCTOSTORE_TOKEN=" + admin, "XDG_CONFIG_HOME=" + t.TempDir()},
		append([]string{"token", "create", "--json"}, args...)...)
	if got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	return octotest.Member(t, strings.ReplaceAll(got.Stdout, `": "`, `":"`), "token")
}

func TestRunIsDenied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "closed.wasm"), "holidays")
	writeFile(t, dir, "policies.json", `{"policies":[{"name":"freeze","module":"closed.wasm","match":["prod/**"]}]}`)
	p := octotest.Start(t, dir, "OCTOSTORE_POLICIES=policies.json")
	start(t, p, "prod/db", "--", "true").ends(t, 77, "octostore: prod/db: not acquired: ", "freeze", "closed for the holidays")
	start(t, p, "-E", "9", "prod/db", "--", "true").ends(t, 77)

	admin := createToken(t, p, "", "--admin", "--account", "ops")
	narrow := createToken(t, p, admin, "--account", "ci", "--scope", "acquire:a/**")
	start(t, p, "a/b", "--", "true").ends(t, 77, "(401 unauthenticated)")
	prepare(t, "http://"+p.Addr, []string{"OCTOSTORE_TOKEN=" + narrow}, "b/c", "--", "true").begin(t).ends(t, 77, "(403 forbidden)")
	prepare(t, "http://"+p.Addr, []string{"OCTOSTORE_TOKEN=" + narrow}, "a/b", "--", "true").begin(t).ends(t, 0)
}

// Two thirds of the ttl that was granted have to leave room to end the command.
func TestRunRefusesALeaseThatIsTooShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "brief.wasm"), "brief")
	writeFile(t, dir, "policies.json", `{"policies":[{"name":"brief","module":"brief.wasm","match":["**"]}]}`)
	p := octotest.Start(t, dir, "OCTOSTORE_POLICIES=policies.json")
	r := start(t, p, "--json", "a", "--", "sh", "-c", "echo ran")
	r.ends(t, 77, "octostore: a: the command was not started: a policy allows a ttl of 15s only")
	if r.out.String() != "" || p.Look("a").State != api.Free {
		t.Errorf("%q, %+v", r.out.String(), p.Look("a"))
	}
	if last := r.events(t); kinds(last) != "ended" && kinds(last) != "released ended" || last[len(last)-1].By != "octostore" {
		t.Errorf("%+v", last)
	}
	start(t, p, "--kill-after", "7s", "a", "true").ends(t, 0)
}

// Those that lose their place when a connection is cut, or a server restarts, start again at
// the end, or fail.
func TestRunWaitsThroughARestartOfTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := octotest.Start(t, dir)
	g := p.Take(t, "a", "?ttl=5m&holder=ci-4711")
	r := start(t, p, "--holder", "us", "--json", "a", "--", "sh", "-c", "echo ran")
	r.waits(t, p, "a", "us")
	p.Kill()
	octotest.WaitUntil(t, "it says that there is no server", func() bool { return strings.Contains(r.errs.String(), "no answer from http://"+p.Addr) })
	again := octotest.Start(t, dir, "OCTOSTORE_ADDR="+p.Addr)
	r.waits(t, again, "a", "us")
	octotest.Expect(t, again.Release(g), 200, "")
	r.ends(t, 0)
	if r.out.String() != "ran\n" {
		t.Errorf("%q", r.out.String())
	}
	events := r.events(t)
	if got := kinds(events); got != "waiting granted started exited released ended" {
		t.Errorf("%s", got)
	}
	if last := events[len(events)-1]; last.By != "command" || *last.Status != 0 {
		t.Errorf("%+v", last)
	}
}

// A signal that ends the wait ends octostore run as it would have ended the command, so that a
// shell that runs it in a loop ends, too. The place in the queue is given up at once.
func TestRunLeavesTheQueueAtASignal(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "a", "?ttl=1h")
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		holder := s.String()
		r := start(t, p, "--holder", holder, "a", "--", "sh", "-c", "echo ran")
		r.waits(t, p, "a", holder)
		r.signal(t, s)
		r.ends(t, -1, "octostore: a: stopped by SIG")
		if status := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != s || r.out.String() != "" {
			t.Errorf("after %v it ended with %v, %q", s, r.cmd.ProcessState, r.out.String())
		}
		octotest.WaitWithin(t, octotest.Promptly, "its place is free", func() bool {
			for _, w := range p.Look("a").Waiters {
				if w.Holder == holder && !w.Away {
					return false
				}
			}
			return true
		})
	}
	r := start(t, p, "--holder", "quit", "a", "--", "true")
	r.waits(t, p, "a", "quit")
	r.signal(t, syscall.SIGQUIT)
	r.ends(t, 131, "stopped by SIGQUIT") // it dumps no core
}

// What --json writes is for programs, and stays as it is.
func TestRunEventsAreThese(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "a", "?ttl=3s&holder=ci-4711")
	for _, test := range []struct {
		args   []string
		status int
		want   []string
	}{
		{[]string{"--json", "a", "--", "sh", "-c", "sleep 0.1; exit 3"}, 3, []string{
			`{"event":"waiting","time":"…","lock":"a","waited_ms":9,"holder":"…","account":"local","held_ms":9,"expires_in_ms":9,"position":1,"waiters":1}`,
			`{"event":"granted","time":"…","lock":"a","waited_ms":9,"fencing_token":9,"ttl_ms":9}`,
			`{"event":"started","time":"…","lock":"a","pid":9}`,
			`{"event":"exited","time":"…","lock":"a","exit_code":3}`,
			`{"event":"released","time":"…","lock":"a","held_ms":9}`,
			`{"event":"ended","time":"…","lock":"a","status":3,"by":"command"}`,
		}},
		{[]string{"--json", "--url", "http://127.0.0.1:1", "-n", "a", "true"}, 69, []string{
			`{"event":"ended","time":"…","lock":"a","status":69,"by":"octostore","error":"a: not acquired: no answer from http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused; is the server running? This URL is that of --url or of a profile"}`,
			`octostore: a: not acquired: no answer from http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused; is the server running? This URL is that of --url or of a profile`,
		}},
		{[]string{"--json", "a", "no-such-command"}, 127, []string{
			`{"event":"ended","time":"…","lock":"a","status":127,"by":"octostore","error":"no-such-command: command not found"}`,
			`octostore: no-such-command: command not found`,
		}},
		{[]string{"--json", "b", "sh", "-c", "kill -TERM $$"}, 143, []string{
			`{"event":"granted","time":"…","lock":"b","waited_ms":9,"fencing_token":9,"ttl_ms":9}`,
			`{"event":"started","time":"…","lock":"b","pid":9}`,
			`{"event":"exited","time":"…","lock":"b","signal":"SIGTERM"}`,
			`{"event":"released","time":"…","lock":"b","held_ms":9}`,
			`{"event":"ended","time":"…","lock":"b","status":143,"by":"command"}`,
		}},
	} {
		r := start(t, p, test.args...)
		r.ends(t, test.status)
		if want := strings.Join(test.want, "\n") + "\n"; normal(r.errs.String()) != want {
			t.Errorf("%v: it writes\n%s\nwant\n%s", test.args, normal(r.errs.String()), want)
		}
	}
}

// normal replaces what differs from run to run.
func normal(text string) string {
	text = regexp.MustCompile(`"(time|holder)":"[^"]*"`).ReplaceAllString(text, `"$1":"…"`)
	text = regexp.MustCompile(`"([a-z_]*_ms|pid|fencing_token)":[1-9][0-9]*`).ReplaceAllString(text, `"$1":9`)
	// A wait of less than a millisecond is not mentioned.
	return regexp.MustCompile(`"event":"granted","time":"…","lock":"b","fencing`).ReplaceAllString(text, `"event":"granted","time":"…","lock":"b","waited_ms":9,"fencing`)
}

// A command that is done early goes on holding the lock, so that a machine whose clock is
// behind does not run it again.
func TestRunHoldsTheLockForAWhile(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	began := time.Now()
	start(t, p, "--min-hold", "2s", "a", "--", "sh", "-c", "exit 3").ends(t, 3, "the lock is held for another")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it took %s", took)
	}
	r := start(t, p, "--json", "--min-hold", "1h", "a", "--", "sh", "-c", "exit 3")
	octotest.WaitUntil(t, "the command has ended", func() bool { return strings.Contains(r.errs.String(), runner.KindExited) })
	if p.Look("a").State != api.Held {
		t.Error("the lock is free")
	}
	r.signal(t, syscall.SIGTERM)
	r.ends(t, 3)
	if p.Look("a").State != api.Free {
		t.Error("the lock is not free")
	}
}

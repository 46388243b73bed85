//go:build unix

package recipes_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// shell is one that with-lock.sh has to work in.
type shell struct {
	name string
	args []string // how it is started
	path string   // its PATH
}

// beside runs a subtest beside others. All wait more than they work, so they do not take
// turns as parallel tests do.
func beside(all *sync.WaitGroup, t *testing.T, name string, test func(*testing.T)) {
	all.Go(func() { t.Run(name, test) })
}

// shellSlots bounds how many scripts run at a time: each starts dozens of processes, and
// on a machine that does not keep up their short leases end.
var shellSlots = make(chan struct{}, 4)

// eachShell runs a test of with-lock.sh in every shell it is for, and in one with -short.
func eachShell(t *testing.T, test func(t *testing.T, sh shell)) {
	t.Helper()
	octotest.NeedTools(t, "curl")
	var all sync.WaitGroup
	defer all.Wait()
	for _, name := range []string{"dash", "bash", "busybox"} {
		beside(&all, t, name, func(t *testing.T) {
			if testing.Short() && name != "dash" {
				t.Skip("SKIP: one shell is enough with -short")
			}
			octotest.NeedTools(t, name)
			shellSlots <- struct{}{}
			defer func() { <-shellSlots }()
			sh := shell{name: name, args: []string{name}, path: os.Getenv("PATH")}
			if name == "busybox" {
				sh.args, sh.path = []string{name, "sh"}, busyboxTools(t)
			}
			test(t, sh)
		})
	}
}

// busyboxTools returns a folder with the tools of busybox and curl, and nothing else.
func busyboxTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("busybox", "--install", "-s", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(curl, filepath.Join(dir, "curl")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// locked is with-lock.sh as it runs.
type locked struct {
	cmd       *exec.Cmd
	out, errs octotest.Buffer
	tmp       string // its temporary files
	mark      string // in the environment of all its processes
	done      chan struct{}
}

// start starts with-lock.sh for a server. The settings come after those that make it
// quick.
func (sh shell) start(t *testing.T, url string, settings []string, args ...string) *locked {
	t.Helper()
	home := t.TempDir()
	// A .curlrc of the user must not affect the script.
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte("location\nfail\nretry = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &locked{tmp: t.TempDir(), done: make(chan struct{})}
	r.mark = "WITH_LOCK_MARK=" + r.tmp
	path, err := exec.LookPath(sh.args[0])
	if err != nil {
		t.Fatal(err)
	}
	script := octotest.Path("sdk-examples/locks/with-lock.sh")
	if _, err := os.ReadFile(script); err != nil { // so that go test runs again when it changes
		t.Fatal(err)
	}
	r.cmd = exec.Command(path, append(append(sh.args[1:], script), args...)...)
	r.cmd.Env = append([]string{
		"PATH=" + sh.path, "HOME=" + home, "TMPDIR=" + r.tmp, r.mark, "OCTOSTORE_URL=" + url,
		"LOCK_TTL=8s", "LOCK_CONFIRM=4s", "LOCK_SLICE=2s", "LOCK_WAIT=60s", "LOCK_HOLDER=the script",
	}, settings...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // its outcome is in ProcessState
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // ended already: fine
		<-r.done
	})
	return r
}

// command returns arguments for with-lock.sh by which a script of the system's shell is
// run with a lock.
func command(name, script string) []string { return []string{name, "/bin/sh", "-c", script} }

// signal sends one to with-lock.sh only.
func (r *locked) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end with a status, and that nothing is left over: no process, no file.
func (r *locked) ends(t *testing.T, status int, said ...string) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * octotest.Patient):
		t.Fatalf("with-lock.sh runs on:\n%s%s", r.out.String(), r.errs.String())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("with-lock.sh ended with %s, want %d:\n%s%s", r.cmd.ProcessState, status, r.out.String(), r.errs.String())
	}
	for _, part := range said {
		if !strings.Contains(r.errs.String(), part) {
			t.Errorf("with-lock.sh did not say %q:\n%s", part, r.errs.String())
		}
	}
	octotest.WaitUntil(t, "no process is left", func() bool { return len(r.processes()) == 0 })
	if left, err := os.ReadDir(r.tmp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v %v", left, err)
	}
}

// processes returns the command lines of all processes of with-lock.sh, by id.
func (r *locked) processes() map[string]string {
	found := map[string]string{}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is right
	for _, file := range environs {
		environ, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(environ), r.mark) {
			continue // it may have ended
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if err == nil && len(line) > 0 {
			found[filepath.Base(filepath.Dir(file))] = string(line)
		}
	}
	return found
}

// isThere reports whether the file of a folder is there.
func isThere(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return !errors.Is(err, os.ErrNotExist)
}

// expectFree fails the test unless the lock becomes free.
func expectFree(t *testing.T, p *octotest.Server, name string) {
	t.Helper()
	octotest.WaitUntil(t, name+" is free", func() bool {
		l := p.Look(name)
		return l.State == api.Free
	})
}

func withLockWaits(t *testing.T, p *octotest.Server, name string) api.Waiter {
	t.Helper()
	octotest.WaitUntil(t, "the script waits", func() bool {
		l := p.Look(name)
		return len(l.Waiters) == 1 && l.Waiters[0].Holder == "the script"
	})
	return p.Look(name).Waiters[0]
}

func TestWithLockRunsACommandAndGivesTheLockBack(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		name := "plain/v1.2+fix/@ci:" + sh.name + "~1"
		dir := t.TempDir()
		r := sh.start(t, "http://"+p.Addr, []string{"LOCK_REASON=ten & \"one\" \\ =+%", "LOCK_HOLDER=@ci, job=7"}, name,
			"/bin/sh", "-c", `echo "$LOCK_TOKEN $OCTOSTORE_FENCING_TOKEN <$1> <$2>"; cd '`+dir+`'; touch runs; until [ -e go ]; do sleep 0.1; done; exit 3`,
			"-", "a b", `*"\`)
		octotest.WaitUntil(t, "the command runs", func() bool { return isThere(dir, "runs") })
		first := p.Look(name).Lease
		if first == nil || first.Holder != "@ci, job=7" || first.Reason != "ten & \"one\" \\ =+%" || first.TTLMS != 8000 {
			t.Fatalf("the lease is %+v", first)
		}
		octotest.WaitUntil(t, "the lease was renewed twice", func() bool {
			l := p.Look(name).Lease
			return l != nil && l.ExpiresAt.Sub(first.ExpiresAt) > 3*time.Second
		})
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.ends(t, 3)
		if want := fmt.Sprintf("%[1]d %[1]d <a b> <*\"\\>\n", first.FencingToken); r.out.String() != want || r.errs.String() != "" {
			t.Errorf("it printed %q and %q, want %q", r.out.String(), r.errs.String(), want)
		}
		if l := p.Look(name); l.State != api.Free {
			t.Errorf("after its end: %+v", l)
		}
	})
}

func TestWithLockEndsLikeTheCommand(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		for status, args := range map[int][]string{
			0:   {"/bin/true"},
			1:   {"/bin/false"},
			126: {"/"},
			127: {"/no/such/command"},
			143: {"/bin/sh", "-c", "kill $$"},
		} {
			name := fmt.Sprintf("status/%s/%d", sh.name, status)
			sh.start(t, "http://"+p.Addr, nil, append([]string{name}, args...)...).ends(t, status)
			if l := p.Look(name); l.State != api.Free {
				t.Errorf("after its end: %+v", l)
			}
		}
		// The names of what the script is made of are commands like any other.
		sh.start(t, "http://"+p.Addr, nil, "own/"+sh.name, "give_back").ends(t, 127)
	})
}

func TestWithLockGivesTheCommandItsInput(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.start(t, "http://"+p.Addr, nil, command("input/"+sh.name, `exec "$0" "$@"`)...)
		r.ends(t, 0) // without input: at its end
		in := exec.Command("/bin/sh", "-c", `echo "$0" | "$@"`, "a line", r.cmd.Path)
		in.Args = append(append(in.Args, r.cmd.Args[1:len(r.cmd.Args)-4]...), "input/"+sh.name, "/bin/cat")
		in.Env = r.cmd.Env
		if out, err := in.CombinedOutput(); err != nil || string(out) != "a line\n" {
			t.Errorf("got %q %v", out, err)
		}
	})
}

// A cron daemon or a supervisor may start the script with closed descriptors.
func TestWithLockRunsWithClosedDescriptors(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		for _, closed := range []string{"<&-", ">&-", "2>&-", "<&- >&- 2>&-"} {
			ran := filepath.Join(t.TempDir(), "ran")
			r := sh.start(t, "http://"+p.Addr, nil, command("closed/"+sh.name, `exec "$0" "$@"`)...)
			r.ends(t, 0)
			again := exec.Command("/bin/sh", "-c", `"$@" `+closed, "sh", r.cmd.Path)
			again.Args = append(append(again.Args, r.cmd.Args[1:len(r.cmd.Args)-4]...), "closed/"+sh.name, "/bin/sh", "-c", `echo "$LOCK_TOKEN" >"$0"; exit 3`, ran)
			again.Env = r.cmd.Env
			if err := again.Run(); again.ProcessState.ExitCode() != 3 {
				t.Errorf("%s: %v", closed, err)
			}
			if got, err := os.ReadFile(ran); err != nil || len(bytes.TrimSpace(got)) == 0 {
				t.Errorf("%s: the command did not run, or had no token: %q, %v", closed, got, err)
			}
		}
	})
}

func TestWithLockRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		for _, c := range []struct {
			settings []string
			name     string
			status   int
			says     string
		}{
			{nil, "", 64, "a name is made of"},
			{nil, "a b", 64, "a name is made of"},
			{nil, "a?x=1", 64, "a name is made of"},
			{nil, "a%2Fb", 64, "a name is made of"},
			{nil, "a\nb", 64, "a name is made of"},
			{nil, "ä", 64, "a name is made of"},
			{nil, "../../healthz", 64, "name"},
			{[]string{"LOCK_TTL=1ms"}, "a", 64, "LOCK_TTL"},
			{[]string{"LOCK_TTL=4"}, "a", 64, "LOCK_TTL"},
			{[]string{"LOCK_TTL=08h"}, "a", 64, "ttl"}, // the server takes less
			{[]string{"LOCK_WAIT=ages"}, "a", 64, "LOCK_WAIT"},
			{[]string{"LOCK_SLICE=0"}, "a", 64, "LOCK_SLICE"},
			{[]string{"LOCK_CONFIRM=0"}, "a", 64, "LOCK_CONFIRM"},
			{[]string{"LOCK_HOLDER=" + strings.Repeat("x", 2000)}, "a", 64, "holder"},
			{[]string{"OCTOSTORE_URL=gopher://127.0.0.1"}, "a", 69, "no answer"},
			{[]string{"OCTOSTORE_URL=http://" + p.Addr + "/nowhere"}, "a", 69, "there is nothing at this path"},
			{[]string{"OCTOSTORE_URL=https://" + p.Addr, "OCTOSTORE_CA_FILE=/no/such/file"}, "a", 69, "no answer"},
		} {
			r := sh.start(t, "http://"+p.Addr, c.settings, c.name, "/bin/echo", "ran")
			r.ends(t, c.status, c.says)
			if r.out.String() != "" {
				t.Errorf("%q %v: the command ran", c.name, c.settings)
			}
		}
		sh.start(t, "http://"+p.Addr, nil, "a").ends(t, 64, "usage: with-lock.sh NAME COMMAND")
	})
}

func TestWithLockWaitsForItsTurnAndForItsTime(t *testing.T) {
	t.Parallel()                                                 // it waits more than it works
	p := octotest.Start(t, t.TempDir(), "OCTOSTORE_MAX_WAIT=1s") // less than LOCK_SLICE
	eachShell(t, func(t *testing.T, sh shell) {
		name := "turn/" + sh.name
		other := p.Take(t, name, "?ttl=1h&holder=ci-4711")
		late := sh.start(t, "http://"+p.Addr, []string{"LOCK_WAIT=4s"}, name, "/bin/echo", "ran")
		late.ends(t, 75, `no lock after 4s: the lock is held by "ci-4711"`)
		if late.out.String() != "" {
			t.Error("the command ran")
		}
		// Without time it tries once.
		sh.start(t, "http://"+p.Addr, []string{"LOCK_WAIT=0"}, name, "/bin/true").ends(t, 75, "ci-4711")

		octotest.WaitUntil(t, "the places of before are given up", func() bool { return p.Look(name).WaitersTotal == 0 })
		r := sh.start(t, "http://"+p.Addr, nil, name, "/bin/echo", "ran")
		since := withLockWaits(t, p, name).Since
		octotest.WaitUntil(t, "it has said that it waits", func() bool { return strings.Contains(r.errs.String(), "waiting: the lock is held by") })
		octotest.WaitUntil(t, "it has asked again", func() bool { return time.Since(since) > 3*time.Second })
		if l := p.Look(name); l.WaitersTotal != 1 || l.Waiters[0].Holder != "the script" || !l.Waiters[0].Since.Equal(since) {
			t.Errorf("it has lost its place: %+v", l)
		}
		octotest.Expect(t, p.Release(other), 200, "")
		r.ends(t, 0)
	})
}

const closedProd = `{"policies":[{"name":"freeze","module":"closed.wasm","match":["prod/**"]}]}`

func TestWithLockShowsWhyItWasDenied(t *testing.T) {
	t.Parallel() // it waits more than it works
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "closed.wasm"), "holidays")
	if err := os.WriteFile(filepath.Join(dir, "policies.json"), []byte(closedProd), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := strings.Repeat("s3cr3t", 10)
	tokens := "ci:" + secret + "\nother:" + strings.Repeat("0th3r.", 10) + ":acquire:test/**\n"
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	p := octotest.Start(t, dir, "OCTOSTORE_POLICIES=policies.json", "OCTOSTORE_TOKENS_FILE=tokens")
	eachShell(t, func(t *testing.T, sh shell) {
		for _, c := range []struct{ token, name, says string }{
			{secret, "prod/db", "closed for the holidays"},
			{strings.Repeat("0th3r.", 10), "stage/db", "lock"},
			{"wrong", "prod/db", "token"},
		} {
			r := sh.start(t, "http://"+p.Addr, []string{"OCTOSTORE_TOKEN=" + c.token}, c.name, "/bin/echo", "ran")
			r.ends(t, 77, "with-lock: "+c.name+": ", c.says)
			if r.out.String() != "" {
				t.Error("the command ran")
			}
		}
	})
}

// Command lines and what is printed can be seen by others; the secrets in it cannot.
func TestWithLockShowsNoSecrets(t *testing.T) {
	t.Parallel() // it waits more than it works
	dir := t.TempDir()
	secret := strings.Repeat("s3cr3t", 10)
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte("ci:"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := octotest.Start(t, dir, "OCTOSTORE_TOKENS_FILE=tokens")
	eachShell(t, func(t *testing.T, sh shell) {
		work := t.TempDir()
		wait := func() *locked {
			return sh.start(t, "http://"+p.Addr, []string{"OCTOSTORE_TOKEN=" + secret}, "secret/"+sh.name, "/bin/sh", "-c",
				"cd "+work+"; touch runs; until [ -e go ]; do sleep 0.1; done")
		}
		first := wait()
		octotest.WaitUntil(t, "the command runs", func() bool { return isThere(work, "runs") })
		second := wait()
		seen := 0
		look := func(r *locked) {
			for _, line := range r.processes() {
				if strings.HasPrefix(line, "curl\x00") {
					seen++
				}
				if strings.Contains(line, secret) || strings.Contains(line, "Octostore-Lease") || strings.Contains(line, "Idempotency-Key") {
					t.Errorf("it can be seen: %q", line)
				}
			}
		}
		octotest.WaitUntil(t, "both have been looked at", func() bool {
			look(first)
			look(second)
			return seen > 20
		})
		if err := os.WriteFile(filepath.Join(work, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		first.ends(t, 0)
		second.ends(t, 0)
		if all := first.errs.String() + second.errs.String(); strings.Contains(all, secret) {
			t.Errorf("it is printed: %s", all)
		}
	})
}

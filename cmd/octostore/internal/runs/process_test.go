//go:build unix

package runs_test

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// beating is a script that says every few milliseconds that it holds the lock, and does not
// obey SIGTERM; nor does the process that it starts.
const beating = `trap '' TERM; beat() { while :; do echo "$1 $(date +%s%N)" >>beats; sleep 0.01; done; }; beat child & touch runs; beat leader`

// beats starts a run that beats, in a folder.
func beats(t *testing.T, p *octotest.Server, dir string) *wrapped {
	t.Helper()
	r := start(t, p, short(append([]string{"--json"}, shell("a", "cd "+dir+"; "+beating)...)...)...)
	runs(t, dir, "beats")
	r.says(t, `"started"`)
	return r
}

// lastBeat returns when one of them beat last. None of them may run any more.
func lastBeat(t *testing.T, dir string) time.Time {
	t.Helper()
	var last int64
	for line := range strings.Lines(content(t, dir, "beats")) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue // killed while it wrote
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, n)
	}
	return time.Unix(0, last)
}

// expectGoneBefore checks that the command of the former holder, and all its processes, did
// nothing after the next lease of the lock was granted.
func expectGoneBefore(t *testing.T, dir string, granted time.Time) {
	t.Helper()
	if last := lastBeat(t, dir); !last.Before(granted) {
		t.Errorf("the command was there until %s after the next holder had the lock", last.Sub(granted))
	} else {
		t.Logf("the command was gone %s before the next holder had the lock", granted.Sub(last))
	}
	size := len(content(t, dir, "beats"))
	time.Sleep(50 * time.Millisecond) // five beats
	if len(content(t, dir, "beats")) != size {
		t.Error("the command runs on")
	}
}

// nextHolder waits for the lock as soon as it can be had, and returns when it was granted.
func nextHolder(t *testing.T, p *octotest.Server, name string) time.Time {
	t.Helper()
	return octotest.Granted(t, octotest.Call("POST", p.Addr, "/v1/locks/"+name+"/acquire?wait=60s&ttl=1m")).GrantedAt
}

// A wrapper that is stopped for longer than its lease renews nothing and ends nothing: its
// guard does.
func TestRunStoppedForLongerThanItsLeaseEndsTheCommandBefore(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := beats(t, p, dir)
	r.signal(t, syscall.SIGSTOP)
	granted := nextHolder(t, p, "a")
	expectGoneBefore(t, dir, granted)
	r.signal(t, syscall.SIGCONT)
	r.ends(t, 79, "octostore: a: the lease was lost while the command ran")
	if l := p.Look("a").Lease; l == nil || !l.GrantedAt.Equal(granted) {
		t.Errorf("the next holder's lease is %+v", l)
	}
}

// The server stops, and comes back with the lease; the next holder has it when it is over.
func TestRunWhoseServerStoppedEndsTheCommandBeforeTheNextHolder(t *testing.T) {
	t.Parallel()
	db, dir := t.TempDir(), t.TempDir()
	p := octotest.Start(t, db)
	r := beats(t, p, dir)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.ends(t, 79, "the lease was lost while the command ran, which then was ended by SIGKILL")
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	expectGoneBefore(t, dir, nextHolder(t, p, "a"))
}

// A wrapper that is killed cannot end its command; its guard does. Nothing releases the lock,
// so that the next holder has it when the lease is over.
func TestRunKilledEndsTheCommandBeforeTheNextHolder(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := beats(t, p, dir)
	r.signal(t, syscall.SIGKILL)
	granted := nextHolder(t, p, "a")
	expectGoneBefore(t, dir, granted)
	if early := granted.Sub(lastBeat(t, dir)); early < 2*time.Second { // about a second is what the deadline leaves
		t.Errorf("the command was gone %s before the end of the lease, as if its guard had waited for that", early)
	}
}

// Also the guard can be killed: the wrapper starts another one.
func TestRunWhoseGuardWasKilledHasAnother(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := beats(t, p, dir)
	first := guardOf(t, r)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "there is another guard", func() bool { return guardOf(t, r) != first })
	r.signal(t, syscall.SIGSTOP)
	expectGoneBefore(t, dir, nextHolder(t, p, "a"))
	r.signal(t, syscall.SIGCONT)
	r.ends(t, 79)
}

// guardOf returns the guard process of a run.
func guardOf(t *testing.T, r *wrapped) (guard int) {
	t.Helper()
	octotest.NeedTools(t, "pgrep")
	octotest.WaitUntil(t, "there is a guard", func() bool {
		out, _ := exec.Command("pgrep", "-f", "-P", strconv.Itoa(r.cmd.Process.Pid), "^octostore guard-job").Output()
		guard, _ = strconv.Atoi(strings.TrimSpace(string(out)))
		return guard != 0
	})
	return guard
}

// etcdctl lock does not pass signals on.
func TestRunUnlikeEtcdctlPassesSignalsOn(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	for name, s := range map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
		"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	} {
		for does, status := range map[string]int{"trap 'exit 9' " + name: 9, "trap - " + name: 128 + int(s)} {
			dir := t.TempDir()
			lock := "signals/" + name
			r := start(t, p, shell(lock, "cd "+dir+"; "+does+"; "+untilGo)...)
			runs(t, dir, "runs")
			r.signal(t, s)
			r.ends(t, status)
			expectFree(t, p, lock)
		}
	}
}

// nohup, and shells that start something in the background, mean it.
func TestRunLeavesIgnoredSignalsIgnored(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	octotest.NeedTools(t, "nohup")
	cmd := octotest.Shell(t, dir, `nohup octostore run a -- sh -c '`+untilGo+`exit 4' & echo $! >pid; wait $!`, "OCTOSTORE_URL=http://"+p.Addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runs(t, dir, "runs")
	pid, err := strconv.Atoi(content(t, dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
	touch(t, dir, "go")
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 4 {
		t.Errorf("it ended with %s", cmd.ProcessState)
	}
}

// What the command leaves in the background would go on without the lock.
func TestRunEndsWhatTheCommandLeavesInTheBackground(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := start(t, p, short(shell("a", "cd "+dir+"; ("+beating+") & until [ -e runs ]; do sleep 0.05; done; exit 3")...)...)
	runs(t, dir, "beats")
	granted := nextHolder(t, p, "a")
	r.ends(t, 3, "a: the command left processes in the background, which were ended")
	expectGoneBefore(t, dir, granted)
}

// A pipeline is over when the command is: no process of octostore keeps it open.
func TestRunInAPipelineEndsWithTheCommand(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	cmd := octotest.Shell(t, t.TempDir(), `x=$(octostore run -q a -- echo one); echo "$x two" | octostore run -q a -- cat | cat`, "OCTOSTORE_URL=http://"+p.Addr)
	said, err := cmd.CombinedOutput()
	if err != nil || string(said) != "one two\n" {
		t.Errorf("%v: %q", err, said)
	}
}

// The command of an inner run is in a group of its own, and may have more time to end than the
// lease of the outer run has.
func TestRunWithinARunEndsWithTheOuterLease(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	inner := octotest.Binary(t) + ` run --kill-after 30s inner -- sh -c '` + strings.ReplaceAll(beating, "''", `""`) + `'`
	r := start(t, p, short(shell("outer", "cd "+dir+"; "+inner)...)...)
	runs(t, dir, "beats")
	r.signal(t, syscall.SIGSTOP)
	expectGoneBefore(t, dir, nextHolder(t, p, "outer"))
	r.signal(t, syscall.SIGCONT)
	r.ends(t, 79)
}

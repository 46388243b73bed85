//go:build unix

package runs_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// short are flags of a run whose lease is lost soon.
func short(args ...string) []string {
	return append([]string{"--ttl", "6s", "--kill-after", "1s"}, args...)
}

// etcdctl lock lets the command run on after its lease was lost. consul lock killed it a minute
// and a half after somebody else had the lock.
func TestRunUnlikeEtcdctlEndsTheCommandBeforeTheLeaseCanBeLost(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := start(t, p, append([]string{"--json", "--ttl", "9s", "--kill-after", "1s"},
		shell("a", `cd `+dir+`; trap 'touch termed' TERM; touch runs; while :; do date +%s.%N >>beats; sleep 0.02; done`)...)...)
	runs(t, dir, "runs")
	l := p.Look("a").Lease
	p.Kill()
	r.ends(t, 79, "octostore: a: the lease was lost while the command ran")
	beats := strings.Fields(content(t, dir, "beats"))
	last, err := strconv.ParseFloat(beats[len(beats)-1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if left := float64(l.ExpiresAt.UnixMilli())/1000 - last; left < 0.5 || left > 5 {
		t.Errorf("the command was gone %.3f s before the end of its lease", left)
	}
	if !isThere(dir, "termed") {
		t.Error("the command did not get SIGTERM first")
	}
	events := r.events(t)
	if got := kinds(events); !strings.HasPrefix(got, "granted started renew_failed lost exited") || !strings.HasSuffix(got, "ended") {
		t.Errorf("%s", got)
	}
	if last := events[len(events)-1]; last.By != "octostore" || *last.Status != 79 {
		t.Errorf("%+v", last)
	}
}

// A command that obeys SIGTERM and reports success has been cut short all the same.
func TestRunWhoseLeaseIsBrokenEndsTheCommand(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := start(t, p, short(shell("a", `cd `+dir+`; trap 'exit 0' TERM; touch runs; while :; do sleep 0.05; done`)...)...)
	runs(t, dir, "runs")
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/break?reason=test"), 200, "")
	g := p.Take(t, "a", "?holder=next")
	r.ends(t, 79, "the command gets SIGTERM", "the lease was lost while the command ran, which then exited with 0")
	if l := p.Look("a").Lease; l == nil || l.FencingToken != g.FencingToken {
		t.Errorf("the next holder's lease is %+v", l)
	}
}

// The account of a revoked token keeps its leases, but cannot renew them any more.
func TestRunWhoseTokenIsRevokedEndsTheCommand(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	admin := createToken(t, p, "", "--admin", "--account", "ops")
	got := octotest.CallAs(admin, "POST", p.Addr, "/v1/tokens?account=ci&scopes=acquire:**")
	octotest.Expect(t, got, 200, `"id"`)
	id, token := octotest.Member(t, got.Body, "id"), octotest.Member(t, got.Body, "token")
	r := prepare(t, "http://"+p.Addr, []string{"OCTOSTORE_TOKEN=" + token}, short(shell("a", "cd "+dir+"; touch runs; sleep 60")...)...).begin(t)
	runs(t, dir, "runs")
	octotest.Expect(t, octotest.CallAs(admin, "DELETE", p.Addr, "/v1/tokens/"+id), 200, "")
	r.ends(t, 79, "the lease is not renewed yet", "unauthenticated", "was ended by SIGTERM")
}

// A lease survives a restart of its server, and so does the command.
func TestRunGoesOnThroughARestartOfTheServer(t *testing.T) {
	t.Parallel()
	dir, db := t.TempDir(), t.TempDir()
	p := octotest.Start(t, db)
	flags := []string{"--json", "--ttl", "15s", "--kill-after", "1s"} // it survives an outage of 8 s
	r := start(t, p, append(flags, shell("a", "cd "+dir+"; "+untilGo+"exit 3")...)...)
	runs(t, dir, "runs")
	p.Kill()
	r.says(t, "renew_failed")
	again := octotest.Start(t, db, "OCTOSTORE_ADDR="+p.Addr)
	before := again.Look("a").Lease
	if before == nil {
		t.Fatal("the lease is over")
	}
	octotest.WaitUntil(t, "the lease is renewed", func() bool {
		l := again.Look("a").Lease
		return l != nil && l.ExpiresAt.Sub(before.ExpiresAt) > time.Second
	})
	touch(t, dir, "go")
	r.ends(t, 3)
	if got := kinds(r.events(t)); got != "granted started renew_failed exited released ended" {
		t.Errorf("%s", got)
	}
}

// The status of a command counts if it ended by itself. A success is in doubt if the lease was
// over before: the command may not have been alone.
func TestRunKeepsTheStatusOfACommandWhoseLeaseIsOver(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	for does, status := range map[string]int{"exit 3": 3, "exit 0": 79} {
		dir := t.TempDir()
		r := start(t, p, append([]string{"--ttl", "1h"}, shell("a", "cd "+dir+"; "+untilGo+does)...)...)
		runs(t, dir, "runs")
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/break?reason=test"), 200, "")
		touch(t, dir, "go")
		r.ends(t, status, "octostore: a: the lease was over before it was released")
	}
}

// A lock that cannot be released is no failure of the command.
func TestRunWarnsOfALockThatItCannotRelease(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := start(t, p, short(shell("a", "cd "+dir+"; "+untilGo)...)...)
	runs(t, dir, "runs")
	p.Kill()
	touch(t, dir, "go")
	r.ends(t, 0, "octostore: a: the lease could not be released, and ends by itself")
}

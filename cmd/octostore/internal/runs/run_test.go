//go:build unix

package runs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

func TestRunEndsLikeTheCommand(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	for status, command := range map[int][]string{
		0:   {"true"},
		1:   {"/bin/false"},
		3:   {"sh", "-c", "exit 3"},
		75:  {"sh", "-c", "exit 75"},
		129: {"sh", "-c", "kill -HUP $$"},
		130: {"sh", "-c", "kill -INT $$"},
		137: {"sh", "-c", "kill -KILL $$"},
		143: {"sh", "-c", "kill -TERM $$"},
		255: {"sh", "-c", "exit 255"},
	} {
		name := fmt.Sprintf("status/%d", status)
		r := start(t, p, append([]string{"-q", name, "--"}, command...)...) // a slow disk makes it wait, and say so
		r.ends(t, status)
		if l := p.Look(name); l.State != api.Free || r.errs.String() != "" || r.out.String() != "" {
			t.Errorf("after %v: %+v, %q, %q", command, l, r.out.String(), r.errs.String())
		}
	}
}

// consul lock exits with 0 when its command fails, and with 2 whatever its command exits with.
func TestRunUnlikeConsulLockFailsWithTheCommand(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	start(t, p, "a", "sh", "-c", "exit 7").ends(t, 7)
}

func TestRunExitsWithTheCodesOfItsTable(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "taken", "?holder=ci-4711&ttl=1h")
	notExecutable := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notExecutable, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status int
		said   string
		args   string
	}{
		{75, `taken: not acquired: the lock is held by "ci-4711"`, "-n taken -- true"},
		{75, `taken: not acquired: the lock is held by "ci-4711"`, "--wait 0 taken -- true"},
		{75, `taken: not acquired in 1s: the lock is held by "ci-4711"`, "--wait 1 taken -- true"},
		{9, `taken: not acquired: the lock is held by "ci-4711"`, "-n -E 9 taken -- true"},
		{0, `taken: not acquired: the lock is held by "ci-4711"`, "-n --conflict-exit-code 0 taken -- true"},
		{127, "no-such-command: command not found", "taken -- no-such-command"},
		{127, "/no/such/command: command not found", "taken -- /no/such/command"},
		{126, "cannot be executed: permission denied", "taken -- " + notExecutable},
		{126, "cannot be executed", "taken -- /"},
		{64, "want a lock and a command", ""},
		{64, "want a command behind the lock", "a"},
		{64, "want a command behind the lock", "a --"},
		{64, "unknown flag: --no-such-flag", "--no-such-flag a -- true"},
		{64, "--ttl 15s leaves no room to end the command", "--ttl 15s a -- true"},
		{64, "want --ttl 19s or more", "--ttl 18s a -- true"},
		{64, "want --ttl 10s or more", "--ttl 5s --kill-after 4s a -- true"},
		{64, "--kill-after is negative", "--kill-after -1s a -- true"},
		{64, "is not a duration", "--wait soon a -- true"},
		{64, "--conflict-exit-code is 256", "-E 256 a -- true"},
		{64, `--meta is "ticket"`, "--meta ticket a -- true"},
		{64, `--meta has the key "a" twice`, "--meta a=1 --meta a=2 a -- true"},
		{64, "(400 invalid)", "a//b -- true"},
		{64, "an idempotency key has 16 to 128", "--idempotency-key short a -- true"},
		{64, "none of the others can be", "-n --wait 3s a -- true"},
		{69, "is the server running?", "-n --url http://127.0.0.1:1 a -- true"},
		{69, "not acquired in 500ms: no answer from http://127.0.0.1:1", "--wait 500ms --url http://127.0.0.1:1 a -- true"},
	} {
		r := start(t, p, strings.Fields(test.args)...)
		r.ends(t, test.status, test.said)
		last := r.errs.String()
		last = last[strings.LastIndex(strings.TrimSuffix(last, "\n"), "\n")+1:]
		if !strings.HasPrefix(last, "octostore: ") || r.out.String() != "" {
			t.Errorf("octostore run %s: it ends with %q, and printed %q", test.args, last, r.out.String())
		}
	}
	if l := p.Look("taken"); l.Lease == nil || l.Lease.Holder != "ci-4711" {
		t.Errorf("the lock is %+v", l)
	}
}

func TestRunTellsTheCommandAboutItsLock(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	name, dir := "plain/v1.2+fix/@ci:7~1", t.TempDir()
	r := start(t, p, append([]string{"--holder", "ci-1", "--reason", "ten & \"one\" =+%", "--meta", "ticket=OPS-7", "--meta", "x=a=b", "--ttl", "1m30s"},
		shell(name, `cd `+dir+`; env >env; `+untilGo)...)...)
	runs(t, dir, "runs")
	l := p.Look(name).Lease
	if l == nil || l.Holder != "ci-1" || l.Reason != `ten & "one" =+%` || l.Metadata["ticket"] != "OPS-7" || l.Metadata["x"] != "a=b" || l.TTLMS != 90_000 {
		t.Fatalf("the lease is %+v", l)
	}
	touch(t, dir, "go")
	r.ends(t, 0)
	env := content(t, dir, "env")
	for _, want := range []string{"OCTOSTORE_LOCK=" + name + "\n", "OCTOSTORE_FENCING_TOKEN=" + strconv.FormatUint(l.FencingToken, 10) + "\n", "OCTOSTORE_WAITED_MS="} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment has not %q:\n%s", want, env)
		}
	}
	if strings.Contains(env, "OCTOSTORE_LEASE_ID_FILE") {
		t.Errorf("the command sees the lease id:\n%s", env)
	}
}

func TestRunExposesTheLeaseIfAsked(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := start(t, p, append([]string{"--expose-lease"},
		shell("a", `cd `+dir+`; f=$OCTOSTORE_LEASE_ID_FILE; echo "$f" >path; cat "$f" >id; ls -ln "$f" | cut -c1-10 >mode; ls -ldn "${f%/*}" | cut -c1-10 >folder; `+untilGo)...)...)
	runs(t, dir, "runs")
	got := octotest.Call("POST", p.Addr, "/v1/locks/a/renew?lease_id="+content(t, dir, "id"))
	octotest.Expect(t, got, 200, `"fencing_token"`)
	if mode, folder := content(t, dir, "mode"), content(t, dir, "folder"); mode != "-rw-------" || folder != "drwx------" {
		t.Errorf("the file is %s in a folder of %s", mode, folder)
	}
	touch(t, dir, "go")
	r.ends(t, 0) // and leaves no file
	if path := content(t, dir, "path"); isThere("/", path) {
		t.Errorf("%s is still there", path)
	}
}

// The command sees the innermost lock.
func TestRunWithinARun(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	bin := octotest.Binary(t)
	r := start(t, p, "--expose-lease", "outer", "--", bin, "run", "inner", "--", "sh", "-c",
		`echo "$OCTOSTORE_LOCK ${OCTOSTORE_LEASE_ID_FILE-none}"; env | grep -c OCTOSTORE_LOCK=; exit 5`)
	r.ends(t, 5)
	if r.out.String() != "inner none\n1\n" {
		t.Errorf("%q", r.out.String())
	}
	expectFree(t, p, "outer")
	expectFree(t, p, "inner")
}

// consul lock took flags of the command for its own.
func TestRunUnlikeConsulLockLeavesTheCommandItsFlags(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	for _, args := range [][]string{
		{"a", "--", "printf", "<%s>", "-n", "--wait", "0", "--", "--json", "-E", "9", "--help", "a b", `*"\`, ""},
		{"a", "printf", "<%s>", "-n", "--wait", "0", "--", "--json", "-E", "9", "--help", "a b", `*"\`, ""},
		{"--", "a", "--", "printf", "<%s>", "-n", "--wait", "0", "--", "--json", "-E", "9", "--help", "a b", `*"\`, ""},
	} {
		r := start(t, p, args...)
		r.ends(t, 0)
		if want := `<-n><--wait><0><--><--json><-E><9><--help><a b><*"\><>`; r.out.String() != want || r.errs.String() != "" {
			t.Errorf("%v: %q, %q, want %q", args, r.out.String(), r.errs.String(), want)
		}
	}
}

// consul lock swallowed the standard input of its command.
func TestRunUnlikeConsulLockLeavesTheCommandItsInput(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	r := prepare(t, "http://"+p.Addr, nil, "a", "--", "sh", "-c", "read first; echo got $first")
	in := strings.NewReader("one\ntwo\n")
	r.cmd.Stdin = in
	r.begin(t).ends(t, 0)
	if r.out.String() != "got one\n" {
		t.Errorf("%q", r.out.String())
	}
	// Each of two commands takes its part of one pipe: nothing in between reads ahead.
	script := octotest.Shell(t, t.TempDir(), `printf '1\n2\n' | { octostore run a -- sh -c 'read x; echo a$x'; read x; echo b$x; }`, "OCTOSTORE_URL=http://"+p.Addr)
	if said, err := script.CombinedOutput(); err != nil || string(said) != "a1\nb2\n" {
		t.Errorf("%v: %q", err, said)
	}
}

// All words of octostore go to the standard error, also if it has to wait; what the command
// writes arrives byte by byte.
func TestRunKeepsTheOutputOfTheCommandPure(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	g := p.Take(t, "a", "?holder=ci-4711&ttl=1h")
	r := start(t, p, "a", "--", "printf", `\033[1m\377\000x`)
	r.says(t, "a is held by ci-4711 (local)")
	octotest.Expect(t, p.Release(g), 200, "")
	r.ends(t, 0)
	if r.out.String() != "\x1b[1m\xff\x00x" {
		t.Errorf("%q", r.out.String())
	}
}

func TestRunSaysNothingWhenQuiet(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "a", "?ttl=2s")
	r := start(t, p, "--quiet", "a", "true")
	r.ends(t, 0)
	if r.errs.String() != "" {
		t.Errorf("%q", r.errs.String())
	}
	p.Take(t, "a", "?ttl=1h")
	start(t, p, "-q", "-n", "a", "true").ends(t, 75, "octostore: a: not acquired: the lock is held")
}

func TestRunNamesItselfAfterTheJob(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	for want, variables := range map[string][]string{
		"https://github.com/o/r/actions/runs/42": {
			"GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=o/r", "GITHUB_RUN_ID=42",
		},
		"https://gitlab.com/o/r/-/jobs/7":      {"GITLAB_CI=true", "CI_JOB_URL=https://gitlab.com/o/r/-/jobs/7"},
		"https://ci.example.com/job/deploy/9/": {"JENKINS_URL=https://ci.example.com/", "BUILD_URL=https://ci.example.com/job/deploy/9/"},
		"https://buildkite.com/o/r/builds/5#0190": {
			"BUILDKITE=true", "BUILDKITE_BUILD_URL=https://buildkite.com/o/r/builds/5", "BUILDKITE_JOB_ID=0190",
		},
		"alice@": nil,
	} {
		dir := t.TempDir()
		r := prepare(t, "http://"+p.Addr, variables, shell("a", "cd "+dir+"; "+untilGo)...).begin(t)
		runs(t, dir, "runs")
		holder := p.Look("a").Lease.Holder
		if host, _ := os.Hostname(); want == "alice@" {
			want = fmt.Sprintf("alice@%s:%d", host, r.cmd.Process.Pid)
		}
		if holder != want {
			t.Errorf("%v: the holder is %q, want %q", variables, holder, want)
		}
		touch(t, dir, "go")
		r.ends(t, 0)
	}
}

func TestRunThatCannotExposeTheLeaseStartsNothing(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := prepare(t, "http://"+p.Addr, []string{"TMPDIR=" + dir + "/missing"}, append([]string{"--expose-lease"}, shell("a", "touch "+dir+"/ran")...)...)
	r.begin(t).ends(t, 1, "octostore: a: the command was not started: write the lease id")
	if isThere(dir, "ran") {
		t.Error("the command ran")
	}
	expectFree(t, p, "a")
}

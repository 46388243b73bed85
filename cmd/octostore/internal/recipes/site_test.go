//go:build unix

package recipes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// Tokens of the accounts that run jobs and that look on.
const (
	jobToken     = "a-token-of-the-account-that-runs-the-jobs"
	watcherToken = "a-token-of-an-account-that-only-looks-on"
)

// site is a server with tokens, and a machine on which recipes are used: the programs that
// they run are in bin, the checkout of a project in work.
type site struct {
	*octotest.Server
	bin, work, notes, tokenFile string
}

// jobScript stands in for what people run under a lock. It notes its lock and its fencing
// token, and ends when it may.
const jobScript = `#!/bin/sh
name=$(basename "$0")
echo "$OCTOSTORE_LOCK $OCTOSTORE_FENCING_TOKEN" >"$NOTES/$name.new" && mv "$NOTES/$name.new" "$NOTES/$name.runs"
until [ -e "$NOTES/$name.ends" ]; do sleep 0.05; done
>"$NOTES/$name.over"
`

func newSite(t *testing.T) *site {
	t.Helper()
	dir, binary := t.TempDir(), octotest.Binary(t)
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for jobs of other users
		t.Fatal(err)
	}
	s := &site{bin: filepath.Join(dir, "bin"), work: filepath.Join(dir, "work"), notes: filepath.Join(dir, "notes"), tokenFile: filepath.Join(dir, "token")}
	for _, folder := range []string{s.bin, s.work, s.notes} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(s.bin, "octostore")); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(jobScript, "$NOTES", s.notes)
	for _, path := range []string{"work/deploy.sh", "work/migrate.sh", "work/restart.sh", "bin/backup", "bin/vacuum", "bin/deploy"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tokens := filepath.Join(dir, "tokens")
	for path, text := range map[string]string{
		s.tokenFile: jobToken + "\n",
		tokens:      "jobs:" + jobToken + ":acquire,read:deploy/** acquire,read:backup/** acquire,read:vacuum/**\nwatch:" + watcherToken + ":read,break:**\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Server = octotest.Start(t, t.TempDir(), "OCTOSTORE_TOKENS_FILE="+tokens)
	return s
}

// recipe returns a file of the recipes, with the places of this site for those of its reader.
func (s *site) recipe(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(octotest.Path("sdk-examples/recipes/" + name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"https://locks.example.com", "http://"+s.Addr, "/etc/octostore/token", s.tokenFile,
		"/usr/local/bin/", s.bin+"/", "/app/", s.bin+"/",
	).Replace(string(text))
}

// look returns a lock as an account sees it that may only read.
func (s *site) look(name string) (l api.Lock) {
	_ = json.Unmarshal([]byte(octotest.CallAs(watcherToken, "GET", s.Addr, "/v1/locks/"+name).Body), &l) // then it has no state
	return l
}

// hold takes a lock that has to be free.
func (s *site) hold(t *testing.T, name string) {
	t.Helper()
	got := octotest.CallAs(jobToken, "POST", s.Addr, "/v1/locks/"+name+"/acquire?holder=another&ttl=1h")
	octotest.Expect(t, got, 200, `"lease_id"`)
}

// run is a command of a recipe as it runs.
type run struct {
	site *site
	cmd  *exec.Cmd
	out  octotest.Buffer
	done chan struct{}
}

// start runs a command in the checkout, with an environment of these variables only.
func (s *site) start(t *testing.T, environ []string, argv ...string) *run {
	t.Helper()
	return s.startCommand(t, &exec.Cmd{Path: argv[0], Args: argv, Env: environ})
}

func (s *site) startCommand(t *testing.T, cmd *exec.Cmd) *run {
	t.Helper()
	r := &run{site: s, cmd: cmd, done: make(chan struct{})}
	if !strings.Contains(cmd.Path, "/") {
		path, err := exec.LookPath(cmd.Path)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = path
	}
	if cmd.Dir == "" {
		cmd.Dir = s.work
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.Stdout, cmd.Stderr = &r.out, &r.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // its outcome is in ProcessState
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = s.letEnd("deploy.sh", "migrate.sh", "restart.sh", "backup", "vacuum", "deploy") // the test is over
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)                                 // ended already: fine
		<-r.done
	})
	return r
}

// runs waits until a program runs, and returns the lock it runs under. While it runs, no
// command line and no output has the token.
func (r *run) runs(t *testing.T, name, program string) api.Lock {
	t.Helper()
	notes := filepath.Join(r.site.notes, program+".runs")
	octotest.WaitUntil(t, program+" runs", func() bool {
		select {
		case <-r.done:
			t.Fatalf("it ended before %s ran: %v\n%s", program, r.cmd.ProcessState, &r.out)
		default:
		}
		_, err := os.Stat(notes)
		return err == nil
	})
	note, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	lock := r.site.look(name)
	if lock.Lease == nil {
		t.Fatalf("%s runs without a lock: %+v", program, lock)
	}
	if want := fmt.Sprintf("%s %d\n", name, lock.Lease.FencingToken); string(note) != want {
		t.Errorf("%s knows %q, want %q", program, note, want)
	}
	expectNoSecretInCommandLines(t)
	return lock
}

// letEnd lets programs end.
func (s *site) letEnd(programs ...string) error {
	for _, program := range programs {
		if err := os.WriteFile(filepath.Join(s.notes, program+".ends"), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ends waits for the end of a command and returns what it printed, which never has the token.
func (r *run) ends(t *testing.T, code int) string {
	t.Helper()
	octotest.WaitUntil(t, "it ends", func() bool {
		select {
		case <-r.done:
			return true
		default:
			return false
		}
	})
	out := r.out.String()
	if strings.Contains(out, jobToken) {
		t.Errorf("the token is shown: %s", out)
	}
	if got := status(r.cmd.ProcessState); got != code {
		t.Fatalf("it ended with %d, want %d: %s", got, code, out)
	}
	return out
}

// status returns an exit status as a shell tells it.
func status(p *os.ProcessState) int {
	if w := p.Sys().(syscall.WaitStatus); w.Signaled() {
		return 128 + int(w.Signal())
	}
	return p.ExitCode()
}

// takesItsTurn expects of a command that its program runs under a lock, and that the lock
// is free again when it has ended. It returns the lock as it was meanwhile.
func (r *run) takesItsTurn(t *testing.T, name, program string) api.Lock {
	t.Helper()
	lock := r.runs(t, name, program)
	if err := r.site.letEnd(program); err != nil {
		t.Fatal(err)
	}
	r.ends(t, 0)
	r.site.expectFree(t, name)
	return lock
}

func (s *site) expectFree(t *testing.T, name string) {
	t.Helper()
	if lock := s.look(name); lock.State != api.Free {
		t.Errorf("%s is not free: %+v", name, lock.Lease)
	}
}

// expectNotRun fails the test if a program has run.
func (s *site) expectNotRun(t *testing.T, program string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.notes, program+".runs")); err == nil {
		t.Errorf("%s has run", program)
	}
}

// expectNoSecretInCommandLines looks at the command lines of all processes, which every
// user of a machine can read.
func expectNoSecretInCommandLines(t *testing.T) {
	t.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), jobToken) {
			t.Errorf("the token is in the command line %q", line)
		}
	}
}

// wait is the flag by which recipes say how long they wait.
var wait = regexp.MustCompile(`(--wait,? )([0-9]+[smh])`)

// impatient returns a recipe that does not wait for long.
func impatient(text string) string { return wait.ReplaceAllString(text, "${1}1s") }

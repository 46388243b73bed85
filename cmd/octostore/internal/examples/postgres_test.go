//go:build unix

package examples_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

const fencing = locks + "fencing/"

// postgres is a server of the test, which can be reached by a socket only.
type postgres struct{ bin, socket string }

// newPostgres starts a server with the tables of the example and of the tests.
func newPostgres(t *testing.T) postgres {
	t.Helper()
	psqls, _ := filepath.Glob("/usr/lib/postgresql/*/bin/psql") // the pattern is right
	if path, err := exec.LookPath("psql"); err == nil {
		psqls = append(psqls, path)
	}
	bin := ""
	for _, psql := range psqls {
		if isInstalled(filepath.Join(filepath.Dir(psql), "initdb")) {
			bin = filepath.Dir(psql)
		}
	}
	if bin == "" {
		t.Skip("SKIP: PostgreSQL is not installed")
	}
	dir, err := os.MkdirTemp("/tmp", "fence") // the path of a socket is short, and the server's user has to get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := postgres{bin, dir}
	data := filepath.Join(dir, "data")
	as := asNobody(t, dir)
	initdb := exec.Command(filepath.Join(p.bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var said octotest.Buffer
	server := exec.Command(filepath.Join(p.bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.Dir, server.SysProcAttr, server.Stdout, server.Stderr = dir, as, &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = server.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // it ends its other processes, too
		<-ended
	})
	octotest.WaitUntil(t, "PostgreSQL listens", func() bool {
		if isOver(ended) {
			t.Fatalf("PostgreSQL has ended: %s", said.String())
		}
		return strings.Contains(said.String(), "ready to accept connections")
	})
	for _, statement := range []string{read(t, fencing+"postgres.sql"), read(t, fencing+"postgres.sql"), tables} {
		if out, err := p.psql(statement); err != nil {
			t.Fatalf("%s: %v %s", statement, err, out)
		}
	}
	return p
}

// isInstalled reports whether a program is there with all that it needs. Where Debian's package
// manager is still at work, it is not.
func isInstalled(program string) bool {
	if _, err := os.Stat(program); err != nil {
		return false
	}
	if _, err := exec.LookPath("dpkg-query"); err != nil || !strings.HasPrefix(program, "/usr/lib/") {
		return true
	}
	owner, err := exec.Command("dpkg-query", "-S", program).Output()
	if err != nil {
		return false
	}
	name, _, _ := strings.Cut(string(owner), ":")
	status, err := exec.Command("dpkg-query", "-W", "-f", "${Status}", name).Output()
	return err == nil && string(status) == "install ok installed"
}

// tables are what is written to. The ids of writes are in the order of the transactions, for
// those of a lock exclude each other.
const tables = `CREATE TABLE writes (id bigserial PRIMARY KEY, token bigint);
CREATE TABLE config (name text, value text); INSERT INTO config VALUES ('version', 'v1')`

// asNobody returns how to run a command as somebody else than root, to whom a folder is given.
func asNobody(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("SKIP: PostgreSQL does not run as root: %v", err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func (p postgres) command(args ...string) *exec.Cmd {
	args = append([]string{"-X", "-q", "-t", "-A", "-h", p.socket, "-U", "postgres", "-v", "ON_ERROR_STOP=1"}, args...)
	return exec.Command(filepath.Join(p.bin, "psql"), append(args, "postgres")...)
}

// psql runs statements, with variables such as token=7.
func (p postgres) psql(statements string, variables ...string) (string, error) {
	var args []string
	for _, v := range variables {
		args = append(args, "-v", v)
	}
	cmd := p.command(args...)
	cmd.Stdin = strings.NewReader(statements)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// session is a psql that is told what to do bit by bit.
type session struct {
	in   io.WriteCloser
	out  bytes.Buffer // valid when done
	done chan error
}

func (p postgres) session(t *testing.T, statements string) *session {
	t.Helper()
	cmd := p.command()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{in: in, done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &s.out, &s.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- cmd.Wait() }()
	s.say(t, statements)
	return s
}

func (s *session) say(t *testing.T, statements string) {
	t.Helper()
	if _, err := io.WriteString(s.in, statements+"\n"); err != nil {
		t.Fatal(err)
	}
}

// end ends the session and returns what it said.
func (s *session) end() (string, error) {
	_ = s.in.Close() // ended already: fine
	err := <-s.done
	return s.out.String(), err
}

func write(token int) string {
	return fmt.Sprintf("BEGIN; SELECT fence('a', %[1]d); INSERT INTO writes (token) VALUES (%[1]d); COMMIT;", token)
}

func TestFencingInPostgres(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := newPostgres(t)
	t.Run("the page", func(t *testing.T) {
		page := block(t, read(t, fencing+"README.md"), "sql")
		for _, c := range []struct {
			token string
			says  string
		}{{"7", ""}, {"7", ""}, {"6", "fencing token 6 of deploy/prod is stale"}, {"9007199254740991", ""}, {"7", "stale"}} {
			out, err := p.psql(page, "token="+c.token)
			if refused := err != nil; refused != (c.says != "") || !strings.Contains(out, c.says) {
				t.Errorf("token %s: %v %s", c.token, err, out)
			}
		}
	})
	t.Run("a stale token changes nothing", func(t *testing.T) {
		for _, statement := range []string{"SELECT fence('b', 5)", "UPDATE config SET value = 'new'"} {
			if out, err := p.psql(statement); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		}
		// Without ON_ERROR_STOP, too: the transaction has failed.
		out, _ := p.psql("\\set ON_ERROR_STOP 0\nBEGIN; SELECT fence('b', 4); UPDATE config SET value = 'stale'; COMMIT;")
		if value, err := p.psql("SELECT value FROM config"); err != nil || strings.TrimSpace(value) != "new" {
			t.Errorf("%v: the value is %s; %s", err, value, out)
		}
	})
	for level, refusal := range map[string]string{"READ COMMITTED": "stale", "REPEATABLE READ": "could not serialize", "SERIALIZABLE": "could not serialize"} {
		t.Run("an old token waits for a new one, "+level, func(t *testing.T) {
			lock := strings.ReplaceAll(level, " ", "-")
			if out, err := p.psql("SELECT fence('" + lock + "', 4)"); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			later := p.session(t, "BEGIN; SELECT fence('"+lock+"', 6);")
			octotest.WaitUntil(t, "the later holder has the row", func() bool { return p.count(t, "state = 'idle in transaction'") == 1 })
			old := p.session(t, "BEGIN ISOLATION LEVEL "+level+"; SELECT fence('"+lock+"', 5);")
			octotest.WaitUntil(t, "the former holder waits for it", func() bool { return p.count(t, "wait_event_type = 'Lock'") == 1 })
			later.say(t, "COMMIT;")
			if out, err := later.end(); err != nil {
				t.Errorf("the later holder: %v %s", err, out)
			}
			if out, err := old.end(); err == nil || !strings.Contains(out, refusal) {
				t.Errorf("the former holder: %v %s", err, out)
			}
		})
	}
	t.Run("races", func(t *testing.T) {
		race(t, func(tokens []int) (string, error) {
			statements := "\\set ON_ERROR_STOP 0\n"
			for _, token := range tokens {
				statements += write(token) + "\n"
			}
			return p.psql(statements)
		})
		out, err := p.psql("SELECT token FROM writes ORDER BY id")
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		checkOrder(t, strings.Fields(out))
	})
}

// count returns how many connections are in a state.
func (p postgres) count(t *testing.T, where string) int {
	t.Helper()
	out, err := p.psql("SELECT count(*) FROM pg_stat_activity WHERE " + where)
	n, nonsense := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || nonsense != nil {
		t.Fatalf("%v %s", err, out)
	}
	return n
}

const (
	writers = 20
	rounds  = 20
)

// race has many writers write at the same time, each with tokens that grow, of which no
// others are refused than stale ones. Those of all are mixed, so many of them are.
func race(t *testing.T, write func(tokens []int) (string, error)) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for w := range writers {
		all.Go(func() {
			var tokens []int
			for round := range rounds {
				tokens = append(tokens, 1+round*writers+w)
			}
			out, err := write(tokens)
			for line := range strings.Lines(out) {
				refused := strings.Contains(line, "stale") || strings.Contains(line, "transaction is aborted")
				if !refused && strings.Contains(strings.ToLower(line), "error") {
					err = errors.Join(err, errors.New(line))
				}
			}
			if err != nil {
				t.Errorf("tokens %d: %v %s", tokens, err, out)
			}
		})
	}
}

// checkOrder checks the tokens in the order in which they have written.
func checkOrder(t *testing.T, tokens []string) {
	t.Helper()
	highest := 0
	for _, text := range tokens {
		token, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if token < highest {
			t.Errorf("token %d wrote after %d", token, highest)
		}
		highest = max(highest, token)
	}
	if highest != writers*rounds {
		t.Errorf("the highest token, %d, has not written, but %d", writers*rounds, highest)
	}
	t.Logf("%d of %d writes were stale", writers*rounds-len(tokens), writers*rounds)
}

// block returns the code block of a page in a language.
func block(t *testing.T, page, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "```"+language+"\n")
	code, _, ended := strings.Cut(rest, "\n```")
	if !found || !ended {
		t.Fatalf("the page has no block in %s", language)
	}
	return code
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(octotest.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package backuptool_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/backuptool"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// site is a folder with a database, and the commands that work on it.
type site struct {
	t   *testing.T
	dir string
}

func newSite(t *testing.T) site { return site{t, t.TempDir()} }

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

func (s site) start() *octotest.Server {
	s.t.Helper()
	return octotest.Start(s.t, s.dir, "OCTOSTORE_ADDR=127.0.0.1:0")
}

// acquire takes a lock and returns its fencing token.
func acquire(t *testing.T, p *octotest.Server, name string) uint64 {
	t.Helper()
	got := octotest.Call("POST", p.Addr, "/v1/locks/"+name+"/acquire?ttl=1h")
	octotest.Expect(t, got, 200, "fencing_token")
	var grant api.Grant
	if err := json.Unmarshal([]byte(got.Body), &grant); err != nil {
		t.Fatal(err)
	}
	return grant.FencingToken
}

// run runs a command on the database of the site, and fails unless it exits with the code
// and its output has the parts.
func (s site) run(code exitcode.Code, parts []string, args ...string) string {
	s.t.Helper()
	return s.runWith([]string{"OCTOSTORE_DB=" + s.path("octostore.db")}, code, parts, args...)
}

func (s site) runWith(environ []string, code exitcode.Code, parts []string, args ...string) string {
	s.t.Helper()
	got := octotest.RunWith(s.t, environ, args...)
	all := got.Stdout + got.Stderr
	if got.Code != int(code) {
		s.t.Fatalf("octostore %s: exit code %d, want %d:\n%.2000s", strings.Join(args, " "), got.Code, code, all)
	}
	for _, part := range parts {
		if !strings.Contains(all, part) {
			s.t.Errorf("octostore %s: %q is not in\n%.2000s", strings.Join(args, " "), part, all)
		}
	}
	return got.Stdout
}

// A backup of a running server, from its file and over HTTP, to a file and to a pipe, is
// whole. After a restore the locks of its moment are held, the old database is kept, and
// fencing tokens grow.
func TestBackupAndRestoreOfAServer(t *testing.T) {
	s := newSite(t)
	p := s.start()
	acquire(t, p, "before")
	url := []string{"OCTOSTORE_URL=http://" + p.Addr}
	s.run(exitcode.OK, []string{"copied "}, "backup", s.path("local.db"))
	s.runWith(url, exitcode.OK, []string{"copied the database of the server"}, "backup", s.path("remote.db"))
	piped := s.run(exitcode.OK, nil, "backup", "-")
	remote := s.runWith(url, exitcode.OK, nil, "backup", "-")
	for name, content := range map[string]string{"piped.db": piped, "piped-remote.db": remote} {
		if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"local.db", "remote.db", "piped.db", "piped-remote.db"} {
		s.run(exitcode.OK, []string{"verified: ", "every page and index is sound", "1 lease, 0 tokens"}, "backup", "--verify", s.path(name))
	}
	s.run(exitcode.Failed, []string{"is there already"}, "backup", s.path("local.db"))
	s.runWith(url, exitcode.Failed, []string{"is there already"}, "backup", s.path("local.db"))

	after := acquire(t, p, "after")
	s.run(exitcode.Failed, []string{"in use by another server", "stop it first"}, "restore", s.path("local.db"))
	p.Kill()
	s.run(exitcode.Failed, []string{"newer: ", "granted", "--discard-newer"}, "restore", s.path("local.db"))
	s.run(exitcode.OK, []string{"restored ", "is kept as "}, "restore", "--discard-newer", s.path("local.db"))

	p = s.start()
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/v1/locks/before"), 200, `"held"`)
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/v1/locks/after"), 200, `"free"`)
	if again := acquire(t, p, "after"); again <= after {
		t.Errorf("token %d after the restore, and %d before it", again, after)
	}
	p.Kill()
	kept, err := filepath.Glob(s.path("octostore.db.replaced-*Z"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	s.run(exitcode.OK, []string{"2 leases"}, "backup", "--verify", kept[0])
	s.run(exitcode.OK, []string{"the chain of"}, "doctor")
	if left, _ := filepath.Glob(s.path("*partial*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A backup that is damaged, cut off, or of something else is refused, and changes nothing.
func TestBackupVerifyFindsDamage(t *testing.T) {
	s := newSite(t)
	p := s.start()
	for n := range 20 {
		acquire(t, p, fmt.Sprintf("lock/%d", n))
	}
	s.run(exitcode.OK, nil, "backup", s.path("good.db"))
	p.Kill()
	before, err := os.ReadFile(s.path("octostore.db"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(s.path("good.db"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"records":  func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"granted"`), []byte(`"grunted"`)) },
		"the end":  func(b []byte) []byte { return b[:len(b)/2] },
		"the head": func(b []byte) []byte { b[3] ^= 1; return b },
		"all":      func([]byte) []byte { return []byte("a text") },
	} {
		bad := s.path("bad.db")
		if err := os.WriteFile(bad, change(bytes.Clone(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			s := site{t, s.dir}
			s.run(exitcode.Tampered, nil, "backup", "--verify", bad)
			got := octotest.RunWith(t, []string{"OCTOSTORE_DB=" + s.path("octostore.db")}, "restore", "--discard-newer", bad)
			if got.Code == 0 {
				t.Errorf("it was restored: %s", got.Stdout)
			}
		})
	}
	s.run(exitcode.Missing, nil, "backup", "--verify", s.path("none.db"))
	s.run(exitcode.Missing, nil, "restore", s.path("none.db"))
	s.run(exitcode.Usage, []string{"the database itself"}, "restore", s.path("octostore.db"))
	s.run(exitcode.Usage, nil, "backup", "--key", "x", s.path("more.db"))
	s.run(exitcode.Usage, nil, "backup", "--verify", "--key", "x", s.path("good.db"))
	other := newSite(t)
	other.stopped()
	key := strings.TrimSpace(other.run(exitcode.OK, nil, "audit", "key"))
	s.run(exitcode.Tampered, []string{"not by " + key}, "backup", "--verify", "--key", key, s.path("good.db"))
	own := strings.TrimSpace(s.run(exitcode.OK, nil, "audit", "key"))
	s.run(exitcode.OK, nil, "backup", "--verify", "--key", own, s.path("good.db"))
	if err := os.WriteFile(other.path("good.db"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	other.run(exitcode.Failed, []string{"a backup of another database"}, "restore", other.path("good.db"))
	after, err := os.ReadFile(s.path("octostore.db"))
	if err != nil || !bytes.Equal(after, before) {
		t.Errorf("the database has changed, %v", err)
	}
}

// stopped leaves the database of a server that was started and killed.
func (s site) stopped() {
	s.t.Helper()
	p := s.start()
	p.Kill()
}

// A restore is refused while the clock is behind: fencing tokens would be given out twice.
func TestRestoreNeedsTheClock(t *testing.T) {
	s := newSite(t)
	p := s.start()
	acquire(t, p, "a")
	s.run(exitcode.OK, nil, "backup", s.path("copy.db"))
	acquire(t, p, "b")
	p.Kill()
	r := backuptool.RestoreConfig{
		Backup: s.path("copy.db"), Database: s.path("octostore.db"), DiscardNewer: true,
		Now: func() time.Time { return time.Now().Add(-time.Hour) },
	}
	if err := r.Restore(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("an hour behind: %v", err)
	}
	r.Now = nil
	if err := r.Restore(t.Context(), io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}

// A copy of a database on which a server ran, too, has newer records than the database, and
// lacks some of them all the same.
func TestRestoreOfACopyThatWentOn(t *testing.T) {
	s, other := newSite(t), newSite(t)
	p := s.start()
	acquire(t, p, "common")
	s.run(exitcode.OK, nil, "backup", other.path("octostore.db"))
	s.run(exitcode.OK, nil, "backup", s.path("early.db"))
	acquire(t, p, "lost")
	p.Kill()
	p = other.start()
	acquire(t, p, "newer")
	other.run(exitcode.OK, nil, "backup", s.path("copy.db"))
	p.Kill()
	s.run(exitcode.Failed, []string{"records that the backup has not", "two copies", "--discard-newer"}, "restore", s.path("copy.db"))
	s.run(exitcode.OK, nil, "restore", "--discard-newer", s.path("early.db"))
	r := backuptool.RestoreConfig{
		Backup: s.path("copy.db"), Database: s.path("octostore.db"),
		Now: func() time.Time { return time.Now().Add(time.Minute) }, // so that the names of those that are kept differ
	}
	if err := r.Restore(t.Context(), io.Discard, io.Discard); err != nil {
		t.Errorf("a copy that went on from the database: %v", err)
	}
}

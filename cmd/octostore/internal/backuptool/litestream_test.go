package backuptool_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
)

// Litestream replicates a database while the server on it works, is restarted and is killed.
// What it restores is a whole database: an earlier state, since it copies after the answer.
// Fencing tokens grow all the same.
func TestBackupByLitestream(t *testing.T) {
	octotest.NeedTools(t, "litestream")
	s := newSite(t)
	p := s.start()
	replica := "file://" + s.path("replica")
	replicate := exec.Command("litestream", "replicate", s.path("octostore.db"), replica)
	said := new(octotest.Buffer)
	replicate.Stdout, replicate.Stderr = said, said
	if err := replicate.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = replicate.Wait() }()
	kill := func() { _ = replicate.Process.Kill(); <-ended }
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("litestream says:\n%s", said)
		}
	})
	// Commits enough for checkpoints of both, with a stop and a kill of the server between.
	load := func(round int) {
		for n := range 1500 {
			acquire(t, p, fmt.Sprintf("round/%d/%d", round, n))
		}
	}
	load(1)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(octotest.Patient); err != nil {
		t.Fatal(err)
	}
	p = s.start()
	load(2)
	p.Kill()
	p = s.start()
	acquire(t, p, "marker")
	restores := 0
	restored := func() string {
		restores++
		to := s.path(fmt.Sprintf("restored-%d.db", restores))
		if out, err := exec.Command("litestream", "restore", "-o", to, replica).CombinedOutput(); err != nil {
			t.Logf("litestream restore: %v\n%s", err, out)
			return ""
		}
		return to
	}
	octotest.WaitWithin(t, octotest.Patient, "the replica has the marker", func() bool {
		to := restored()
		in, err := sqlite.Inspect(t.Context(), to, 0, nil)
		return err == nil && slices.ContainsFunc(in.Leases, func(l lock.Loaded) bool { return l.Lease.Name == "marker" })
	})
	load(3)
	last := acquire(t, p, "last")
	p.Kill()
	kill()

	to := restored()
	s.run(exitcode.OK, []string{"verified: "}, "backup", "--verify", to)
	after := newSite(t)
	if err := os.Rename(to, after.path("octostore.db")); err != nil {
		t.Fatal(err)
	}
	after.run(exitcode.OK, []string{"the chain of"}, "doctor")
	p = after.start()
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/v1/locks/marker"), 200, `"held"`)
	if next := acquire(t, p, "next"); next <= last {
		t.Errorf("token %d after the restore, and %d before it", next, last)
	}
	if left, _ := filepath.Glob(after.path("*-wal")); len(left) != 1 {
		t.Errorf("the restored database has the logs %v", left)
	}
}

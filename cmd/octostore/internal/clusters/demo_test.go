package clusters_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// The demonstration runs to its end without a terminal, and leaves nothing behind.
func TestClusterDemonstrationTellsItsStory(t *testing.T) {
	if testing.Short() {
		t.Skip("three nodes with the race detector take long to start")
	}
	etcd := etcdtest.Program(t)
	demo := exec.Command(octotest.Binary(t), "demo", "cluster", "--once", "--etcd", etcd)
	left := t.TempDir()
	demo.Env = append(os.Environ(), "TMPDIR="+left)
	out, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`Node \w serves; nodes \w and \w forward to it\.`,
		`B  ← 200, it is yours\. fencing token \d{16}, [\d.]+ ms after A began to release`,
		`C  ← 200 to a renewal, \d+ ms after the kill: the lease goes on`,
		`D  ← 200, it is yours\. fencing token \d{16}, greater than all before`,
		`E  ← 200, \d+ times, and no other answer; at most \d+ ms between two of them`,
		`I  ← \d+ records, signed, none changed or missing\. What happened to deploy/prod:`,
		`released C\n +granted D\n`,
		`All of this took [\d.]+ seconds\.\n$`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("it does not say %s:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "\x1b") {
		t.Errorf("it has colours although it is no terminal:\n%q", out)
	}
	if files, err := os.ReadDir(left); err != nil || len(files) > 0 {
		t.Errorf("it leaves %v, %v", files, err)
	}
}

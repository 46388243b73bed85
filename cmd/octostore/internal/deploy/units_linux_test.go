package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

var units = []string{"octostore.service", "octostore.socket", "octostore-admin.socket"}

// copyUnits writes the units to a folder, with a binary that is there.
func copyUnits(t *testing.T, change func(string) string) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range units {
		text := change(strings.Replace(read(t, "deploy/systemd/"+name), "/usr/bin/octostore", octotest.Binary(t), 1))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func verifyUnits(t *testing.T, change func(string) string) string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, copyUnits(t, change)...)...).CombinedOutput()
	if err != nil {
		return err.Error() + "\n" + string(out)
	}
	return string(out)
}

// Systemd has nothing to say about the units, and something about a mistake in them.
func TestUnitsPassVerify(t *testing.T) {
	octotest.NeedTools(t, "systemd-analyze")
	if said := verifyUnits(t, func(s string) string { return s }); said != "" {
		t.Errorf("systemd-analyze verify:\n%s", said)
	}
	for right, wrong := range map[string]string{"WatchdogSec=": "WatchdogSecs=", "ListenStream=127.0.0.1": "ListenStream=127.0.0.400"} {
		if verifyUnits(t, func(s string) string { return strings.Replace(s, right, wrong, 1) }) == "" {
			t.Errorf("%s for %s is not noticed", wrong, right)
		}
	}
}

// The exposure is at most 1.5 of 10 points, where systemd begins to speak of medium at 5.
func TestUnitsAreHardened(t *testing.T) {
	octotest.NeedTools(t, "systemd-analyze")
	service := copyUnits(t, func(s string) string { return s })[0]
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", service).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// What the page promises of the service, in the words of systemd.
func TestUnitsAreNeverGivenUp(t *testing.T) {
	service := read(t, "deploy/systemd/octostore.service")
	for _, want := range []string{
		"\nType=notify\n", "\nWatchdogSec=", "\nRestart=always\n", "\nStartLimitIntervalSec=0\n", "\nLimitNOFILE=65536\n",
		"\nAfter=network-online.target\n", "\nWants=network-online.target\n", "\nStateDirectory=octostore\n", "\nCacheDirectory=octostore\n",
		"OCTOSTORE_POLICY_CACHE=/var/cache/octostore\n", "\nOOMPolicy=continue\n",
	} {
		if !strings.Contains(service, want) {
			t.Errorf("the service has no line %q", strings.TrimSpace(want))
		}
	}
	// Policies are compiled, and the boot id is read.
	for _, no := range []string{"\nMemoryDenyWriteExecute=", "\nProcSubset="} {
		if strings.Contains(service, no) {
			t.Errorf("the service has %q", strings.TrimSpace(no))
		}
	}
	for name, file := range map[string]string{"main": "octostore.socket", "admin": "octostore-admin.socket"} {
		if !strings.Contains(read(t, "deploy/systemd/"+file), "\nFileDescriptorName="+name+"\n") {
			t.Errorf("%s has not the name that the server knows", file)
		}
	}
}

//go:build unix

package recipes_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startAnsible runs the playbook with two hosts in each group, all of which are this machine.
func startAnsible(t *testing.T, s *site, change func(string) string) *run {
	t.Helper()
	bin := python(t)
	for name, text := range map[string]string{
		"playbook.yml": change(s.recipe(t, "ansible/playbook.yml")),
		"hosts":        "[databases]\ndb1\ndb2\n[web]\nweb1\nweb2\n",
	} {
		if err := os.WriteFile(filepath.Join(s.work, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	home := t.TempDir()
	return s.start(t, []string{
		"PATH=" + bin + ":" + s.bin + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "TMPDIR=" + home, "LC_ALL=C.UTF-8", "ANSIBLE_FORCE_COLOR=false",
		"OCTOSTORE_URL=http://" + s.Addr, "OCTOSTORE_TOKEN_FILE=" + s.tokenFile,
	}, filepath.Join(bin, "ansible-playbook"), "-v", "-i", "hosts", "-e", "ansible_connection=local ansible_python_interpreter="+filepath.Join(bin, "python3"), "playbook.yml")
}

func TestRecipeForAnsibleRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := startAnsible(t, s, same)
	r.runs(t, "vacuum/db", "vacuum")
	if n := s.look("vacuum/db").WaitersTotal; n > 1 {
		t.Errorf("%d hosts wait, and one runs", n)
	}
	if err := s.letEnd("vacuum"); err != nil {
		t.Fatal(err)
	}
	r.takesItsTurn(t, "deploy/prod", "deploy")
	if out := r.out.String(); strings.Contains(out, "lease_id") {
		t.Errorf("the lease id is shown: %s", out)
	}
}

// A block that fails gives the lock back.
func TestRecipeForAnsibleReleasesAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.letEnd("vacuum"); err != nil {
		t.Fatal(err)
	}
	r := startAnsible(t, s, func(text string) string { return strings.ReplaceAll(text, s.bin+"/deploy", "/bin/false") })
	r.ends(t, 2)
	s.expectFree(t, "deploy/prod")
}

func TestRecipeForAnsibleSaysWhoHasTheLock(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "vacuum/db")
	s.hold(t, "deploy/prod")
	out := startAnsible(t, s, impatient).ends(t, 2)
	if !regexp.MustCompile(`deploy/prod.*held by .*another`).MatchString(out) {
		t.Errorf("it does not name the holder: %s", out)
	}
	s.expectNotRun(t, "deploy")
}

//go:build unix

package recipes_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// objectStore stands in for rclone and aws: a copy goes into a folder, and what else they are
// told into a list.
const objectStore = `#!/bin/sh
echo "$(basename "$0") $*" >>"$STORE/told"
case $1 in
copyto) cp "$2" "$STORE/$(basename "$3")" ;;
s3) cp "$4" "$STORE/$(basename "$5")" ;;
esac
`

// backupSite is a server, and a machine that backs it up.
type backupSite struct {
	*octotest.Server
	bin, dir, store string
}

func newBackupSite(t *testing.T) backupSite {
	t.Helper()
	s := backupSite{octotest.Start(t, t.TempDir(), "OCTOSTORE_ADDR=127.0.0.1:0"), t.TempDir(), t.TempDir(), t.TempDir()}
	if err := os.Symlink(octotest.Binary(t), filepath.Join(s.bin, "octostore")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rclone", "aws"} {
		if err := os.WriteFile(filepath.Join(s.bin, name), []byte(objectStore), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s backupSite) run(dir, remote, url string) (string, error) {
	cmd := exec.Command("sh", octotest.Path("sdk-examples/recipes/backup/octostore-backup.sh"))
	cmd.Env = []string{
		"PATH=" + s.bin + ":/usr/bin:/bin", "STORE=" + s.store, "OCTOSTORE_URL=" + url,
		"BACKUP_DIR=" + dir, "BACKUP_REMOTE=" + remote, "KEEP_LOCAL=2",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// backups returns the names of the backups in a folder.
func backups(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "octostore-*.db"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The script backs a server up, verifies the backup, copies it, and keeps the newest ones.
func TestRecipeForBackupsRuns(t *testing.T) {
	t.Parallel()
	s := newBackupSite(t)
	for n := range 3 {
		old := filepath.Join(s.dir, fmt.Sprintf("octostore-2020010%dT000000Z.db", n+1))
		if err := os.WriteFile(old, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for remote, dir := range map[string]string{"remote:bucket/octostore": s.dir, "s3://bucket/octostore/": t.TempDir()} {
		if out, err := s.run(dir, remote, "http://"+s.Addr); err != nil || !strings.Contains(out, "verified: ") {
			t.Fatalf("%s: %v\n%s", remote, err, out)
		}
	}
	kept := backups(t, s.dir)
	if len(kept) != 2 || strings.Contains(kept[1], "2020") {
		t.Errorf("on this machine are %v, want the two newest", kept)
	}
	copied := backups(t, s.store)
	if len(copied) == 0 {
		t.Fatal("none was copied")
	}
	if got := octotest.Run(t, "backup", "--verify", copied[0]); got.Code != 0 {
		t.Errorf("what was copied: %s", got.Stderr)
	}
	told, err := os.ReadFile(filepath.Join(s.store, "told"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"remote:bucket/octostore/octostore-", "rclone delete --min-age 30d --include octostore-*.db remote:bucket/octostore",
		"aws s3 cp --only-show-errors", " s3://bucket/octostore/octostore-",
	} {
		if !strings.Contains(string(told), want) {
			t.Errorf("%q was not done:\n%s", want, told)
		}
	}
}

// A backup that fails removes nothing, and fails the unit. One that cannot be copied, however
// often, removes nothing remotely and fills no disk here.
func TestRecipeForBackupsFailsWithoutLoss(t *testing.T) {
	t.Parallel()
	s := newBackupSite(t)
	for n := range 3 {
		old := filepath.Join(s.dir, fmt.Sprintf("octostore-2020010%dT000000Z.db", n+1))
		if err := os.WriteFile(old, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.run(s.dir, "remote:bucket", "http://127.0.0.1:1"); err == nil {
		t.Errorf("without a server it succeeds:\n%s", out)
	}
	if kept := backups(t, s.dir); len(kept) != 3 {
		t.Errorf("without a server %v are left, want the three old ones", kept)
	}
	killed := filepath.Join(s.dir, "octostore-20200104T000000Z.db.partial-1")
	if err := os.WriteFile(killed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.bin, "rclone"), []byte("#!/bin/sh\nexit 5\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := s.run(s.dir, "remote:bucket", "http://"+s.Addr); err == nil {
		t.Errorf("without an object store it succeeds:\n%s", out)
	}
	if kept := backups(t, s.dir); len(kept) != 2 || strings.Contains(kept[1], "2020") {
		t.Errorf("on this machine are %v, want the newest old one and the one that could not be copied", kept)
	}
	if _, err := os.Stat(killed); err == nil {
		t.Error("what a killed run has left is still there")
	}
	if _, err := os.Stat(filepath.Join(s.store, "told")); err == nil {
		t.Error("something was done remotely")
	}
}

func TestRecipeForBackupsIsUnderstood(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "systemd-analyze")
	dir := t.TempDir()
	args := []string{"verify"}
	for _, name := range []string{"octostore-backup.service", "octostore-backup.timer"} {
		text, err := os.ReadFile(octotest.Path("sdk-examples/recipes/backup/" + name))
		if err != nil {
			t.Fatal(err)
		}
		unit := strings.ReplaceAll(string(text), "/usr/local/bin/octostore-backup.sh", "/bin/sh")
		unit = strings.ReplaceAll(unit, "User=octostore-backup", "User=root")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

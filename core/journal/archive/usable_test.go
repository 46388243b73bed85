package archive

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/octostore/octostore/core/journal/journaltest"
)

// What can never work is refused at the start; what may pass is not.
func TestArchiveFolderThatCanNeverWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]error{t.TempDir(): nil, file + "-missing": nil, file: errNoFolder} {
		if err := CheckFolder(dir); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", dir, err, want)
		}
	}
}

// A folder that is gone is noticed although nothing is due to be written.
func TestArchiveNoticesThatItsFolderIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := openBoth(t, dir, 3)
	if err := a.writeDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	if err := a.writeDue(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is gone: %v", err)
	}
}

// A folder that is gone is looked at often. What fails after much work, such as a write to a full
// disk or to one without hard links, is not tried as often.
func TestArchiveDoesNotTryOftenWhatIsMuchWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 3)
	a := openArchive(t, j, dir, func(point string) error {
		if point == "synced" {
			return errors.ErrUnsupported
		}
		return nil
	})
	if err := a.Keep(t.Context(), 0, j.Head()); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("%v, want that it cannot be linked", err)
	}
	if got := a.pause(); got != checkEvery {
		t.Errorf("after a write that failed: %s, want %s", got, checkEvery)
	}
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	if got := a.pause(); got != retryEvery {
		t.Errorf("while the folder is gone: %s, want %s", got, retryEvery)
	}
}

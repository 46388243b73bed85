package archive

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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

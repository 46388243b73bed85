package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/filelock"
)

func TestLockExcludesASecondOpenFileUntilTheFirstIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := filelock.Try(first); err != nil {
		t.Fatal(err)
	}
	if err := filelock.Try(second); !errors.Is(err, filelock.ErrLocked) {
		t.Errorf("the second got %v", err)
	}
	first.Close()
	if err := filelock.Try(second); err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
}

package files_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/octostore/octostore/core/files"
)

// A file is there as it was until the draft takes its place, and no draft is left behind.
func TestDraftTakesThePlaceOfTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	check := func(what, want string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			text = nil
		} else if err != nil {
			t.Fatal(err)
		}
		if string(text) != want {
			t.Errorf("%s: the file has %q, want %q", what, text, want)
		}
	}
	draft := func(content string) *files.Draft {
		t.Helper()
		d, err := files.NewDraft(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		return d
	}

	d := draft("given up")
	check("a draft", "")
	d.Close()
	check("a draft that was given up", "")

	d = draft("first")
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	d.Close()
	check("a new file", "first")

	d = draft("second")
	if err := d.Create(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v, want that it is there", err)
	}
	d.Close()
	check("a file that was there", "first")

	d = draft("third")
	check("a draft of a file that is there", "first")
	if err := d.Replace(); err != nil {
		t.Fatal(err)
	}
	d.Close()
	check("a replaced file", "third")

	if err := files.Replace(path, []byte("fourth")); err != nil {
		t.Fatal(err)
	}
	check("a file replaced at once", "fourth")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o177 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v; want the file only", left, err)
	}
}

package filewatch_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/filewatch"
)

// watched is a folder with files, and counts how often they are loaded.
type watched struct {
	t     *testing.T
	dir   string
	group *filewatch.Group
	loads int
	err   error // of the next load
}

func newWatched(t *testing.T, files ...string) *watched {
	w := &watched{t: t, dir: t.TempDir()}
	for _, name := range files {
		w.write(name, "first")
	}
	w.group = filewatch.NewGroup(func() []string {
		var names []string
		for _, name := range files {
			names = append(names, filepath.Join(w.dir, name))
		}
		return names
	}, func() { _ = w.group.Load(func() error { w.loads++; return w.err }) })
	return w
}

func (w *watched) path(name string) string { return filepath.Join(w.dir, name) }

func (w *watched) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// replace puts a new file in the place of one, as cp -p would have made it: with the size and
// the time of the old one.
func (w *watched) replace(name string) {
	w.t.Helper()
	old, err := os.Stat(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("new", "other")
	if err := os.Chtimes(w.path("new"), time.Time{}, old.ModTime()); err != nil {
		w.t.Fatal(err)
	}
	w.do(os.Rename(w.path("new"), w.path(name)))
}

func (w *watched) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// checks checks so often, and fails unless the files were loaded so often in all.
func (w *watched) checks(what string, times, loads int) {
	w.t.Helper()
	for range times {
		w.group.Check()
	}
	if w.loads != loads {
		w.t.Errorf("%s: loaded %d times, want %d", what, w.loads, loads)
	}
}

func TestFilewatchNoticesEveryKindOfChange(t *testing.T) {
	w := newWatched(t, "cert", "key")
	w.checks("nothing has changed", 3, 0)
	w.write("cert", "longer than before")
	w.checks("written in place, seen once", 1, 0)
	w.checks("written in place, settled", 1, 1)
	w.checks("it is not loaded again", 3, 1)
	w.replace("cert")
	w.checks("replaced by rename", 2, 2)
	w.replace("key")
	w.checks("the other file", 2, 3)
	w.do(os.Chmod(w.path("key"), 0o400))
	w.checks("its mode", 2, 4)
	w.do(os.Remove(w.path("key")))
	w.checks("removed", 5, 5)
	w.write("key", "back")
	w.checks("back", 5, 6)
	w.do(os.Remove(w.path("key")))
	w.do(os.Mkdir(w.path("key"), 0o700))
	w.checks("a folder in its place", 5, 7)
}

// Kubernetes swaps one link, and the files below it change at once.
func TestFilewatchFollowsLinks(t *testing.T) {
	w := newWatched(t)
	for _, version := range []string{"..1", "..2"} {
		w.do(os.Mkdir(w.path(version), 0o700))
		w.write(version+"/tokens", "same size")
	}
	w.do(os.Symlink("..1", w.path("..data")))
	w.do(os.Symlink("..data/tokens", w.path("tokens")))
	w.group = filewatch.NewGroup(func() []string { return []string{w.path("tokens")} },
		func() { _ = w.group.Load(func() error { w.loads++; return nil }) })
	w.checks("nothing has changed", 3, 0)
	w.do(os.Symlink("..2", w.path("..tmp")))
	w.do(os.Rename(w.path("..tmp"), w.path("..data")))
	w.checks("the link was swapped", 3, 1)
	w.do(os.RemoveAll(w.path("..1")))
	w.checks("the old folder is gone", 3, 1)
}

// A file that is being written differs at every look.
func TestFilewatchWaitsForAWriter(t *testing.T) {
	w := newWatched(t, "tokens")
	content := "half of a"
	for range 5 {
		content += " file"
		w.write("tokens", content)
		w.checks("it is being written", 1, 0)
	}
	w.checks("it is written", 1, 1)
}

// A file with a mistake is loaded once, and again when it changes. A change back to what was
// loaded before is none.
func TestFilewatchLoadsAMistakeOnce(t *testing.T) {
	w := newWatched(t, "tokens")
	w.err = errors.New("a mistake")
	w.write("tokens", "with a mistake")
	w.checks("a mistake", 10, 1)
	w.err = nil
	w.write("tokens", "without one")
	w.checks("mended", 10, 2)
	w.write("tokens", "and more")
	w.checks("seen once", 1, 2)
	if err := w.group.Load(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	w.checks("loaded by hand meanwhile", 10, 2)
	var none *filewatch.Group
	if err := none.Load(func() error { return errors.New("x") }); err == nil {
		t.Error("without a group nothing is loaded")
	}
}

func TestFilewatchChecksAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		g := filewatch.NewGroup(func() []string { looks.Add(1); return nil }, func() {})
		looks.Store(0)
		w := filewatch.Begin(2*time.Second, g)
		time.Sleep(21 * time.Second)
		w.Close()
		w.Close()
		time.Sleep(time.Minute)
		if looks.Load() != 10 {
			t.Errorf("%d looks in 21 s, want 10", looks.Load())
		}
		off := filewatch.Begin(0, g)
		time.Sleep(time.Minute)
		off.Close()
		if looks.Load() != 10 {
			t.Error("it looks although it is off")
		}
	})
}

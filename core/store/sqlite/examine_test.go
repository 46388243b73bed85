package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// Examine works while a server runs on the database, after a crash and after a stop.
// Afterwards there are no new files.
func TestExamineLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a ?%23#&b.db") // what means something in a URL
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	var line storetest.Line
	for range 10 {
		line.Commit(t, s, 2, storetest.Row("held", 1, time.Hour))
	}
	examine := func(when string, running bool) {
		t.Helper()
		if who, is, err := Running(path); err != nil || is != running || is != (who != "") {
			t.Errorf("%s: running %v by %q, %v", when, is, who, err)
		}
		before := names(t, dir)
		segments := 0
		in, err := Examine(t.Context(), path, func(in Inspection) func(lock.Segment) error {
			if in.Head != line.Head {
				t.Errorf("%s: the head is %+v", when, in.Head)
			}
			return func(lock.Segment) error { segments++; return nil }
		})
		if err != nil || in.Head != line.Head || len(in.Leases) != 1 || segments != 10 {
			t.Errorf("%s: %+v, %d segments, %v", when, in, segments, err)
		}
		if after := names(t, dir); len(after) != len(before) {
			t.Errorf("%s: there were %q, now there are %q", when, before, after)
		}
	}
	examine("while it is served", true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	examine("after a stop", false)
	if _, err := Examine(t.Context(), path+"-none", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	stop := errors.New("enough")
	_, err := Examine(t.Context(), path, func(Inspection) func(lock.Segment) error {
		return func(lock.Segment) error { return stop }
	})
	if !errors.Is(err, stop) || errors.Is(err, ErrDamaged) {
		t.Errorf("who examines says enough: %v", err)
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestFreeSpaceIsKnown(t *testing.T) {
	if free, known := FreeSpace(t.TempDir()); known && free <= 0 {
		t.Errorf("%d bytes", free)
	}
	if _, known := FreeSpace("/does/not/exist"); known {
		t.Error("of a folder that does not exist it is known")
	}
}

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/storetest"
)

// fakeClocks are clocks that a test moves.
type fakeClocks struct {
	wall time.Time
	boot time.Duration
	id   string
	err  error // of the clock that counts from the boot
}

func (f *fakeClocks) clocks() host.Clocks {
	return host.Clocks{
		Now:       func() time.Time { return f.wall },
		SinceBoot: func() (time.Duration, error) { return f.boot, f.err },
		BootID:    func() (string, error) { return f.id, nil },
	}
}

func (f *fakeClocks) pass(d time.Duration) { f.wall, f.boot = f.wall.Add(d), f.boot+d }

func TestRemaining(t *testing.T) {
	type step = func(*fakeClocks)
	pass := func(d time.Duration) step { return func(f *fakeClocks) { f.pass(d) } }
	setWall := func(d time.Duration) step { return func(f *fakeClocks) { f.wall = f.wall.Add(d) } }
	reboot := func(down time.Duration) step {
		return func(f *fakeClocks) { f.wall, f.boot, f.id = f.wall.Add(down), time.Second, f.id+"'" }
	}
	noBootID := func(f *fakeClocks) { f.id = "" }
	noBootClock := func(f *fakeClocks) { f.err = errors.ErrUnsupported }

	for _, test := range []struct {
		name     string
		restarts []step        // what happens before each
		want     time.Duration // of a minute, after the last
	}{
		{"at once", []step{pass(0)}, 60 * time.Second},
		{"the machine went on", []step{pass(10 * time.Second)}, 50 * time.Second},
		{"it has lapsed", []step{pass(70 * time.Second)}, -10 * time.Second},
		{"the wall clock was set forward", []step{func(f *fakeClocks) { f.pass(10 * time.Second); setWall(time.Hour)(f) }}, 50 * time.Second},
		{"the wall clock was set back", []step{func(f *fakeClocks) { f.pass(10 * time.Second); setWall(-time.Hour)(f) }}, 60 * time.Second},
		{"the boot clock jumped", []step{func(f *fakeClocks) { f.wall, f.boot = f.wall.Add(10*time.Second), f.boot+time.Hour }}, 50 * time.Second},
		{"another boot", []step{reboot(10 * time.Second)}, 60 * time.Second},
		{"another boot, long after", []step{reboot(10 * time.Hour)}, 60 * time.Second},
		{"restarts in another boot", []step{reboot(time.Second), pass(10 * time.Second), pass(10 * time.Second)}, 40 * time.Second},
		{"boot after boot", []step{reboot(0), pass(10 * time.Second), reboot(0)}, 60 * time.Second},
		{"the boot is not known", []step{func(f *fakeClocks) { noBootID(f); f.pass(10 * time.Second) }}, 60 * time.Second},
		{"the boot was not known", []step{noBootID, func(f *fakeClocks) { f.id = "boot"; f.pass(10 * time.Second) }}, 60 * time.Second},
		{"there is no boot clock", []step{func(f *fakeClocks) { noBootClock(f); f.pass(10 * time.Second) }}, 60 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := &fakeClocks{wall: time.Date(2026, 10, 25, 0, 59, 0, 0, time.UTC), boot: time.Hour, id: "boot"}
			cfg := Config{Path: newPath(t), clocks: fake.clocks()}
			s := open(t, cfg)
			storetest.Load(t, s)
			r := storetest.Row("a", 1, time.Minute)
			r.Lease.ExpiresAt = fake.wall.Add(time.Minute)
			new(storetest.Line).Commit(t, s, 1, r)
			var left time.Duration
			for _, happens := range test.restarts {
				happens(fake)
				s = reopen(t, s, cfg)
				left = storetest.Load(t, s).Leases[0].Remaining
			}
			if left != test.want {
				t.Errorf("%s left, want %s", left, test.want)
			}
		})
	}
}

// Rows of this boot keep their time when rows of another boot are adopted beside them.
func TestAdoptionCoversAllRows(t *testing.T) {
	fake := &fakeClocks{wall: time.Now(), boot: time.Hour, id: "first"}
	cfg := Config{Path: newPath(t), clocks: fake.clocks()}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	row := func(name lock.Name) lock.Row {
		r := storetest.Row(name, 1, time.Minute)
		r.Lease.ExpiresAt = fake.wall.Add(time.Minute)
		return r
	}
	line.Commit(t, s, 1, row("old"))

	fake.id, fake.boot = "second", 0
	s = reopen(t, s, cfg)
	storetest.Load(t, s)
	fake.pass(20 * time.Second)
	line.Commit(t, s, 1, row("new"))

	fake.pass(20 * time.Second)
	s = reopen(t, s, cfg)
	leases := storetest.Load(t, s).Leases
	if len(leases) != 2 || leases[0].Remaining != 40*time.Second || leases[1].Remaining != 20*time.Second {
		t.Errorf("leases = %+v, want 40 s of the new one and 20 s of the old", leases)
	}
}

// A crash leaves the files as they are at some moment, so a copy of a live store's files is
// a crashed store.
func TestCrashed(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	var rows []lock.Row
	for i := range 300 {
		r := storetest.Row(lock.Name(fmt.Sprintf("l/%03d", i)), lock.Token(i+1), time.Minute)
		line.Commit(t, s, 1, r)
		rows = append(rows, r)
	}
	crashed := newPath(t)
	copyFile(t, s.path, crashed)
	copyFile(t, s.path+"-wal", crashed+"-wal")

	after := open(t, Config{Path: crashed})
	snap := storetest.Load(t, after)
	storetest.CheckLeases(t, snap, rows...)
	if snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
	line.Commit(t, after, 1, storetest.Free("l/000"))
}

func TestStoppedInGoodOrder(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	r := storetest.Row("a", 1, time.Minute)
	line.Commit(t, s, 1, r)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(s.path + suffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", suffix, err)
		}
	}
	copied := newPath(t)
	copyFile(t, s.path, copied)
	snap := storetest.Load(t, open(t, Config{Path: copied}))
	storetest.CheckLeases(t, snap, r)
	if snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenFilesAreClosed(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("this system does not list open files")
		}
		n := 0
		for _, e := range entries {
			if target, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); filepath.IsAbs(target) {
				n++
			}
		}
		return n
	}
	cfg := Config{Path: newPath(t)}
	round := func() {
		s := open(t, cfg)
		storetest.Load(t, s)
		if _, err := s.Segments(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	round()
	before := count()
	for range 10 {
		round()
	}
	if after := count(); after > before {
		t.Errorf("%d open files, before %d", after, before)
	}
}

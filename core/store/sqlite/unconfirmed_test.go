package sqlite

import (
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
	"github.com/octostore/octostore/core/store/storetest"
)

// After a restart an unconfirmed lease has at most its time to confirm left, and not less
// than it had, whatever the clocks say.
func TestUnconfirmedLeaseOverRestarts(t *testing.T) {
	reboot := func(f *fakeClocks) { f.wall, f.boot, f.id = f.wall.Add(time.Hour), time.Second, f.id+"'" }
	goOn := func(f *fakeClocks) { f.pass(10 * time.Second) }
	for what, test := range map[string]struct {
		restarts []func(*fakeClocks) // what happens before each
		want     time.Duration       // of 15 s, after the last
	}{
		"the machine went on":         {[]func(*fakeClocks){goOn}, 5 * time.Second},
		"it has lapsed":               {[]func(*fakeClocks){goOn, goOn}, -5 * time.Second},
		"another boot":                {[]func(*fakeClocks){reboot}, 15 * time.Second},
		"restarts in another boot":    {[]func(*fakeClocks){reboot, goOn}, 5 * time.Second},
		"boot after boot":             {[]func(*fakeClocks){reboot, goOn, reboot}, 15 * time.Second},
		"the boot is not known":       {[]func(*fakeClocks){func(f *fakeClocks) { f.id = ""; f.pass(10 * time.Second) }}, 15 * time.Second},
		"the wall clock was set back": {[]func(*fakeClocks){func(f *fakeClocks) { f.pass(10 * time.Second); f.wall = f.wall.Add(-time.Hour) }}, 15 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			fake := &fakeClocks{wall: time.Date(2026, 10, 25, 0, 59, 0, 0, time.UTC), boot: time.Hour, id: "boot"}
			cfg := Config{Path: newPath(t), clocks: fake.clocks()}
			s := open(t, cfg)
			storetest.Load(t, s)
			r := storetest.Row("a", 1, time.Hour)
			r.Lease.ConfirmWithin, r.Lease.ExpiresAt = 15*time.Second, fake.wall.Add(15*time.Second)
			new(storetest.Line).Commit(t, s, 1, r)
			var l lock.Loaded
			for _, happens := range test.restarts {
				happens(fake)
				s = reopen(t, s, cfg)
				l = storetest.Load(t, s).Leases[0]
			}
			if l.Remaining != test.want || l.Lease.ConfirmWithin != 15*time.Second || l.Lease.TTL != time.Hour {
				t.Errorf("%s left of %s, to be confirmed within %s; want %s", l.Remaining, l.Lease.TTL, l.Lease.ConfirmWithin, test.want)
			}
		})
	}
}

// A bit that flips in the time to confirm would end a lease early, or late.
func TestUnconfirmedLeaseIsCoveredByItsChecksum(t *testing.T) {
	for _, change := range []string{"confirm = 0", "confirm = confirm + 1", "confirm = 1 WHERE confirm = 0"} {
		s := open(t, Config{Path: newPath(t)})
		storetest.Load(t, s)
		unconfirmed, confirmed := storetest.Row("a", 1, time.Hour), storetest.Row("b", 2, time.Hour)
		unconfirmed.Lease.ConfirmWithin = 15 * time.Second
		new(storetest.Line).Commit(t, s, 2, unconfirmed, confirmed)
		if err := s.w.Exec("UPDATE leases SET " + change); err != nil {
			t.Fatal(err)
		}
		if _, err := s.w.ReadLeases(t.Context(), host.Instant{}); err == nil {
			t.Errorf("after %q the leases are read as if nothing had happened", change)
		}
	}
}

// A database from before there were unconfirmed leases can be read as it is, and keeps its
// leases in the migration. An older program then refuses it because of its version.
func TestUnconfirmedLeasesComeByMigration(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	r := storetest.Row("held", 1, time.Hour)
	new(storetest.Line).Commit(t, s, 1, r)
	if err := s.w.Exec("ALTER TABLE leases DROP COLUMN confirm; ALTER TABLE tokens DROP COLUMN member_of; PRAGMA user_version = 4"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(t.Context(), path, 0, nil)
	if err != nil || len(in.Leases) != 1 || in.Leases[0].Lease.ConfirmWithin != 0 {
		t.Errorf("looked at before the migration: %+v, %v", in.Leases, err)
	}
	s = open(t, Config{Path: path})
	storetest.CheckLeases(t, storetest.Load(t, s), r)
	if version, err := s.w.IntOf("PRAGMA user_version"); err != nil || version < rows.ConfirmVersion {
		t.Errorf("the version is %d, %v", version, err)
	}
}

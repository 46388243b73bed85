package sqlite

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
	"github.com/octostore/octostore/core/table"
)

// image is the files of a database, by their suffix after the path, and the events in it.
type image struct {
	files  map[string][]byte
	events []line
	most   lock.Token // ever granted
}

func (m image) with(suffix string, b []byte) image {
	m.files = maps.Clone(m.files)
	if m.files[suffix] = b; b == nil {
		delete(m.files, suffix)
	}
	return m
}

// made are the images that the tests damage: of a stopped server, of one that was killed
// later, and of a backup made before both.
type made struct {
	stopped, killed, backup image
}

// makeImages runs a server, and waits until the second of its last token has passed, so
// that the clock is ahead of every restored image.
func makeImages(t *testing.T) (m made) {
	t.Helper()
	d := newDisk(t)
	d.quick = true
	c := newChain(t, d)
	c.byClock = true
	if err := c.live(0, 3); err != nil {
		t.Fatal(err)
	}
	copied := newPath(t)
	if err := Backup(t.Context(), c.cfg.Path, copied, nil); err != nil {
		t.Fatal(err)
	}
	m.backup = imageOf(t, copied)
	if err := c.live(1, 4); err != nil {
		t.Fatal(err)
	}
	m.stopped = imageOf(t, c.cfg.Path)
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.burst(100 + i)
	}
	c.moveWAL()
	for i := range 3 {
		c.burst(200 + i)
		c.handOver(lock.Name(fmt.Sprintf("late/%d", i)))
	}
	m.killed = imageOf(t, c.cfg.Path)
	if table, store := c.stop(); table != nil || store != nil {
		t.Fatal(table, store)
	}
	for _, s := range c.said {
		m.killed.most = max(m.killed.most, s.token)
	}
	m.stopped.most, m.backup.most = m.killed.most, m.killed.most
	time.Sleep(time.Until(time.Unix(int64(m.killed.most>>20)+1, 0)))
	return m
}

func imageOf(t *testing.T, path string) image {
	t.Helper()
	m := image{files: make(map[string][]byte)}
	for _, suffix := range []string{"", "-wal"} {
		if b, err := os.ReadFile(path + suffix); err == nil {
			m.files[suffix] = b
		}
	}
	found, err := m.open(t)
	if err != nil {
		t.Fatal(err)
	}
	m.events = found
	return m
}

// open opens the image and returns its events, or why it was refused. It fails the test if
// the opened database contradicts itself, or a refused one was changed.
func (m image) open(t *testing.T) ([]line, error) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "image")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "octostore.db")
	write(t, m.files, "", path)
	begun := time.Now()
	s, err := Open(t.Context(), Config{Path: path, walSize: -1, Reserve: -1})
	if err != nil {
		m.checkRefusal(t, path, err)
		return nil, err
	}
	defer func() {
		s.Close()
		if took := time.Since(begun); took > time.Minute { // a search without an end
			t.Errorf("it took %s", took)
		}
	}()
	snap, loadErr := s.Load(t.Context())
	segments, readErr := storetest.Drain(t.Context(), s, 0, 100)
	if err := cmp.Or(loadErr, readErr); err != nil {
		m.checkRefusal(t, path, err)
		return nil, err
	}
	events, err := checkChain(segments)
	if err := cmp.Or(err, checkReplay(events, snap.Leases), m.checkTokens(t, s)); err != nil {
		t.Error(err)
	}
	return events, nil
}

func (m image) checkRefusal(t *testing.T, path string, err error) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrOtherLog) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) {
		t.Errorf("the error does not say that the database is damaged: %v", err)
	}
	if errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "backup") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	if errors.Is(err, ErrOtherLog) && !strings.Contains(err.Error(), "remove "+path+"-wal") {
		t.Errorf("the error does not say what to remove: %v", err)
	}
	if !strings.Contains(err.Error(), path) {
		t.Errorf("the error does not name the file: %v", err)
	}
	if !strings.HasPrefix(err.Error(), "open") {
		return // only a segment that was read later
	}
	for suffix, before := range m.files {
		if after, _ := os.ReadFile(path + suffix); !bytes.Equal(before, after) {
			t.Errorf("octostore.db%s was changed although it was refused: %v", suffix, err)
		}
	}
}

// checkTokens lets a table grant a lock: its token must not be smaller than an earlier one.
func (m image) checkTokens(t *testing.T, s *Store) error {
	tab, err := table.Open(t.Context(), journal.New(s), table.Config{})
	if err != nil {
		return err
	}
	defer tab.Close()
	g, err := tab.Acquire(t.Context(), lock.Acquisition{Name: "after", TTL: time.Minute})
	if err == nil && g.Lease.Token <= m.most {
		return fmt.Errorf("token %d is given after %d", g.Lease.Token, m.most)
	}
	return err
}

// Allowed outcomes for a damaged database.
type fate func(*testing.T, image, []line, error)

// refused: it is not opened, with a reason.
func refused(t *testing.T, m image, found []line, err error) {
	if err == nil {
		t.Errorf("it was opened, with %d of %d events", len(found), len(m.events))
	}
}

// whole: nothing is missing.
func whole(t *testing.T, m image, found []line, err error) {
	if err != nil || !slices.Equal(found, m.events) {
		t.Errorf("%d of %d events, %v", len(found), len(m.events), err)
	}
}

// either: it is refused, or nothing is missing.
func either(t *testing.T, m image, found []line, err error) {
	if err == nil {
		whole(t, m, found, err)
	}
}

// earlier: it has the content of an earlier moment.
func earlier(t *testing.T, m image, found []line, err error) {
	if err != nil || len(found) >= len(m.events) || !slices.Equal(found, m.events[:len(found)]) {
		t.Errorf("%d of %d events, %v: want fewer, from the first on", len(found), len(m.events), err)
	}
}

// safe: any of these.
func safe(t *testing.T, m image, found []line, err error) {
	if err == nil && (len(found) > len(m.events) || !slices.Equal(found, m.events[:len(found)])) {
		t.Errorf("%d of %d events, but not from the first on", len(found), len(m.events))
	}
}

// flipped returns b with one bit of its bytes from..to flipped.
func flipped(b []byte, from, to int, rng *rand.Rand) []byte {
	b = slices.Clone(b)
	b[from+rng.IntN(to-from)] ^= 1 << rng.IntN(8)
	return b
}

// flips is the number of bits that are flipped in one place, one at a time.
func flips() int {
	if testing.Short() {
		return 10
	}
	return 60
}

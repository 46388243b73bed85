package sqlite

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// What a store does about a full disk: it refuses the commit, gives up its ballast so
// that the next ones have a little space, and puts the ballast back when there is
// space again. Meanwhile it says that it is full, so that the little space is kept for
// those who hold a lock.
//
// A checkpoint that finds no space counts like a commit that does. There is room left
// in the WAL then, so nobody who holds a lock has been refused yet.

// makeRoom gives up the ballast after something found no space, and lets the WAL
// start over if it can.
func (s *Store) freeSpace(cause error) {
	s.giveUpReserve(cause)
	s.checkpointNow()
}

// withRoom runs f, and runs it again without the ballast if there was no space. It is
// for what a start has to write: a server must come up on a full disk, or nothing can
// be released.
func (s *Store) retryWithoutReserve(f func() error) error {
	err := f()
	if !conn.NoSpace(err) {
		return err
	}
	s.reserve.held = min(host.SizeOf(s.reserve.path), max(s.reserve.size, 0))
	s.giveUpReserve(err)
	return f()
}

func (s *Store) giveUpReserve(cause error) {
	if !s.reserve.full.Load() {
		s.log.Warn("no space left to record changes, giving up the reserve", "path", s.path, "reserve", s.reserve.held, "error", cause)
		s.wakeUpkeep() // it tries to put it back
	}
	s.reserve.drop(time.Now())
}

// startSpare makes the reserve, unless it just had to be given up. A disk without
// space for it is not full: commits may succeed.
func (s *Store) fillReserve() {
	if s.reserve.full.Load() {
		return
	}
	if err := s.reserve.restore(time.Now()); err != nil {
		s.log.Warn("no space for the whole reserve against a full disk", "path", s.path, "reserve", s.reserve.held, "wanted", s.reserve.size, "error", err)
	}
}

// restoreSpare puts the ballast back if it is time to try and there is space again.
func (s *Store) refillReserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.stopReason() != nil || !s.reserve.due(now) {
		return
	}
	full, before := s.reserve.full.Load(), s.reserve.held
	_ = s.reserve.restore(now) // tried again later; the operator has been told
	switch {
	case full && !s.reserve.full.Load():
		s.log.Info("there is space again to record changes", "path", s.path, "reserve", s.reserve.held)
	case !full && s.reserve.held > before:
		s.log.Info("there is space for more of the reserve against a full disk", "path", s.path, "reserve", s.reserve.held, "wanted", s.reserve.size)
	}
}

// retry is ready when it is time to try again to put the ballast back; nil if it is
// there.
func (s *Store) nextRefill() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil || !s.reserve.wanting() {
		return nil
	}
	return time.After(time.Until(s.reserve.again))
}

// Full reports whether the disk is full: there was no space for a commit, or for what
// the start or a checkpoint had to write, and what was given up of the reserve could
// not be put back since. It is quick.
func (s *Store) Full() bool { return s.reserve.full.Load() }

// ballast is space set aside for a full disk: a file that is deleted when there is
// no other space left, so that leases can be renewed, released and expire.
//
// Moving the WAL into the database may lengthen the database by all that is in the
// WAL, so the reserve is larger than that.
type reserve struct {
	path string
	size int64 // wanted; 0 or less: there is none
	// first is the pause before the first try to put the file back.
	first time.Duration
	// full says that there was no space for something that had to be written, until
	// the file is back. Unlike the rest it may be read by anybody at any time.
	full atomic.Bool

	held  int64         // how large the file is
	least int64         // how large it has to be for full to end: as it was when it was dropped
	again time.Time     // when to try next to enlarge it
	pause time.Duration // between tries
}

const (
	firstPause = time.Second
	maxPause   = 5 * time.Second

	smallReserve = 1 << 20 // one smaller than this is not worth having
	maxSlack     = 4 << 20
)

// drop gives the space up.
func (b *reserve) drop(now time.Time) {
	if b.full.Load() {
		if soon := now.Add(b.first); b.again.Before(soon) {
			b.again = soon
		}
		return
	}
	if b.size > 0 {
		os.Remove(b.path)
	}
	b.full.Store(true)
	b.held, b.least = 0, b.held
	b.later(now)
}

// later puts the next try off, each time for longer.
func (b *reserve) later(now time.Time) {
	b.pause = min(max(2*b.pause, b.first), maxPause)
	b.again = now.Add(b.pause)
}

// wanting reports whether there is something to put back.
func (b *reserve) wanting() bool { return b.full.Load() || b.held < b.size }

// due reports whether it is time to try to put it back.
func (b *reserve) due(now time.Time) bool { return b.wanting() && !now.Before(b.again) }

// restore makes the file as large as it should be, or else as large as there is space
// for, and says what the better was refused for. A disk that was full stays so until
// there is as much in reserve as was given up.
func (b *reserve) restore(now time.Time) error {
	err := b.enlarge()
	if b.held >= b.least {
		b.full.Store(false)
	}
	if b.wanting() {
		b.later(now)
	} else {
		b.pause = 0
	}
	return err
}

// enlarge tries the whole size, then half of it, and so on.
func (b *reserve) enlarge() (err error) {
	if b.size <= 0 {
		return nil
	}
	b.held = min(host.SizeOf(b.path), b.size)
	least := max(b.least, min(b.size, smallReserve))
	for size := b.size; size > b.held && size >= least; size /= 2 {
		e := b.grow(size)
		if e == nil {
			b.held = size
			return err
		}
		if err == nil {
			err = e
		}
	}
	return err
}

// grow makes the file that large, or leaves it as it was. It asks for more space and
// gives that back: a reserve made of the last free bytes would itself fill the disk.
func (b *reserve) grow(size int64) error {
	asked := size + min(size, maxSlack)
	if err := host.CheckSpace(filepath.Dir(b.path), asked-b.held); err != nil {
		return err
	}
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeNoise(f, b.held, asked); err != nil {
		f.Truncate(b.held)
		return err
	}
	return f.Truncate(size)
}

// writeNoise fills a part of the file with bytes no file system can store in less
// space.
func writeNoise(f *os.File, from, to int64) error {
	noise := make([]byte, min(to-from, 1<<20))
	rand.NewChaCha8([32]byte{}).Read(noise)
	for at := from; at < to; at += int64(len(noise)) {
		if _, err := f.WriteAt(noise[:min(to-at, int64(len(noise)))], at); err != nil {
			return err
		}
	}
	return nil
}

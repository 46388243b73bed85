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

// A full disk: the store refuses the commit and frees its reserve, so that the next commits
// have a little space. It refills the reserve once there is space again. Meanwhile
// [Store.Full] reports true, so that callers keep the little space for holders.
//
// A checkpoint that finds no space has the same effect. The WAL still has space then, so no
// holder has been refused yet.

// freeSpace frees the reserve after a write found no space, and lets the WAL start over if
// it can.
func (s *Store) freeSpace(cause error) {
	s.giveUpReserve(cause)
	s.checkpointNow()
}

// retryWithoutReserve runs f, and runs it again without the reserve if there was no space.
// It is for the writes of a start: a server must start on a full disk, or no lease can be
// released.
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
		s.log.Warn("no space left to record changes, using the reserve", "path", s.path, "reserve", s.reserve.held, "error", cause)
		s.wakeUpkeep() // it refills the reserve
	}
	s.reserve.drop(time.Now())
}

// fillReserve allocates the reserve at a start, unless the start had to free it. A disk
// without space for it is not full: commits may succeed.
func (s *Store) fillReserve() {
	if s.reserve.full.Load() {
		return
	}
	if err := s.reserve.restore(time.Now()); err != nil {
		s.log.Warn(
			"no space for the whole reserve for a full disk",
			"path", s.path,
			"reserve", s.reserve.held,
			"wanted", s.reserve.size,
			"error", err,
		)
	}
}

// refillReserve refills the reserve if it is time to try and there is space again.
func (s *Store) refillReserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.stopReason() != nil || !s.reserve.due(now) {
		return
	}
	full, before := s.reserve.full.Load(), s.reserve.held
	_ = s.reserve.restore(now) // it tries again later, and the log has said why
	switch {
	case full && !s.reserve.full.Load():
		s.log.Info("there is space again to record changes", "path", s.path, "reserve", s.reserve.held)
	case !full && s.reserve.held > before:
		s.log.Info("there is space for more of the reserve for a full disk", "path", s.path, "reserve", s.reserve.held, "wanted", s.reserve.size)
	}
}

// nextRefill is ready when it is time to try again to refill the reserve; nil if the
// reserve is whole.
func (s *Store) nextRefill() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil || !s.reserve.wanting() {
		return nil
	}
	return time.After(time.Until(s.reserve.again))
}

// Full reports whether the disk is full: a commit, a start or a checkpoint found no space,
// and the freed part of the reserve could not be refilled since. It does not wait for
// commits.
func (s *Store) Full() bool { return s.reserve.full.Load() }

// reserve is space set aside for a full disk: a file that is deleted when no other space is
// left, so that leases can be renewed and released and can expire.
//
// A checkpoint may lengthen the database by the whole size of the WAL, so the reserve is
// larger than that.
type reserve struct {
	path string
	size int64 // wanted; 0 or less: no reserve
	// first is the pause before the first try to refill it.
	first time.Duration
	// full says that a write found no space, until the file is whole again. Unlike the
	// other fields it may be read at any time.
	full atomic.Bool

	held  int64         // present size of the file
	least int64         // the size at which full ends: the size before the drop
	again time.Time     // time of the next try to enlarge it
	pause time.Duration // between tries
}

const (
	firstPause = time.Second
	maxPause   = 5 * time.Second

	smallReserve = 1 << 20 // a smaller one is not worth keeping
	maxSlack     = 4 << 20
)

// drop frees the space.
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

// later postpones the next try, longer each time.
func (b *reserve) later(now time.Time) {
	b.pause = min(max(2*b.pause, b.first), maxPause)
	b.again = now.Add(b.pause)
}

// wanting reports whether the reserve is not whole.
func (b *reserve) wanting() bool { return b.full.Load() || b.held < b.size }

// due reports whether it is time to try to refill it.
func (b *reserve) due(now time.Time) bool { return b.wanting() && !now.Before(b.again) }

// restore makes the file as large as it should be, or as large as the space allows, and
// returns why the larger sizes failed. A disk that was full stays full until the reserve is
// as large again as it was before.
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
// returns the surplus: a reserve made of the last free bytes would itself fill the disk.
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

// writeNoise fills part of the file with bytes that no file system can compress.
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

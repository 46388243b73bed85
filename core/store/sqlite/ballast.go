package sqlite

import (
	"math/rand/v2"
	"os"
	"time"
)

// ballast is space set aside for a full disk: a file that is deleted when there is
// no other space left, so that leases can be released and expire.
type ballast struct {
	path string
	size int64 // 0 or less: there is none
	// first is the pause before the first try to put the file back.
	first time.Duration
	// full says that a commit was refused, until the file is back.
	full  bool
	again time.Time     // when to try next to put it back
	pause time.Duration // between tries
}

const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// drop gives the space up.
func (b *ballast) drop(now time.Time) {
	if b.size > 0 {
		os.Remove(b.path)
	}
	if !b.full {
		b.lost(now)
	}
}

// lost notes that the file is not there, and puts the next try off, each time for
// longer.
func (b *ballast) lost(now time.Time) {
	b.full = true
	b.pause = min(max(2*b.pause, b.first), maxPause)
	b.again = now.Add(b.pause)
}

// due reports whether it is time to try to put the file back.
func (b *ballast) due(now time.Time) bool { return b.full && !now.Before(b.again) }

// restore puts the file there. It asks for twice the space and gives half of it back:
// a reserve made of the last free bytes would itself fill the disk.
func (b *ballast) restore() error {
	if b.size > 0 {
		if fi, err := os.Stat(b.path); err != nil || fi.Size() != b.size {
			if err := b.write(); err != nil {
				os.Remove(b.path)
				return err
			}
		}
	}
	b.full, b.pause = false, 0
	return nil
}

// write fills the file with bytes no file system can store in less space.
func (b *ballast) write() error {
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	noise := make([]byte, min(2*b.size, 1<<20))
	rand.NewChaCha8([32]byte{}).Read(noise)
	for left := 2 * b.size; left > 0; left -= int64(len(noise)) {
		if _, err := f.Write(noise[:min(left, int64(len(noise)))]); err != nil {
			return err
		}
	}
	return f.Truncate(b.size)
}

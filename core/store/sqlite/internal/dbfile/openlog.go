package dbfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// A log that is overwritten in place keeps its name, and SQLite does not read back what it
// has written: it relies on its index, PATH-shm. Commits seem to succeed then, and are lost
// at the next crash. So a check compares the log with the index.

// OpenLog is the write-ahead log of an open store and its index. Its descriptors stay open
// until SQLite has closed the files, see [host.InodeLock]. The zero value checks nothing.
type OpenLog struct {
	name  string
	f     *os.File
	index host.Mapped // the beginning of PATH-shm

	// A frame that was right at the last check. The frames before it do not change until
	// the log starts over.
	salts [8]byte
	frame uint32
	sum   [2]uint32
}

// indexHead is the size of each of the two copies of the index header.
const indexHead = 48

// logState is the state of the log according to the index.
type logState struct {
	frames   uint32
	pageSize int64
	salts    [8]byte
	sum      [2]uint32 // of the last frame
}

// state reads the index. ok is false while another process changes it, and while the log is
// empty.
func (l *OpenLog) state() (s logState, ok bool) {
	head := bytes.Clone(l.index.Bytes()[:indexHead])
	order := binary.NativeEndian
	if !bytes.Equal(head, l.index.Bytes()[indexHead:2*indexHead]) || head[12] == 0 {
		return s, false
	}
	size := int64(order.Uint16(head[14:]))
	s.pageSize = size&0xfe00 | size&1<<16 // 1 stands for 65,536
	s.frames = order.Uint32(head[16:])
	s.sum = [2]uint32{order.Uint32(head[24:]), order.Uint32(head[28:])}
	copy(s.salts[:], head[32:40]) // in the byte order of the file
	return s, s.frames > 0 && s.pageSize > 0
}

// Look returns an error if the log is not as SQLite expects it. No commit of this process
// may be under way. Another process changes the index before it starts the log over, and
// after it has appended to it; so a mismatch counts only if the index is the same before
// and after it, twice.
func (l *OpenLog) Look() error {
	if l.f == nil {
		return nil
	}
	var err error
	for range 2 {
		before, ok := l.state()
		if !ok {
			return nil
		}
		if err = l.compare(before); err == nil {
			l.salts, l.frame, l.sum = before.salts, before.frames, before.sum
			return nil
		}
		time.Sleep(time.Millisecond)
		if after, ok := l.state(); !ok || after != before {
			return nil // the next check is soon
		}
	}
	return fmt.Errorf("%s was overwritten: %w", l.name, err)
}

// compare returns how the log differs from the index. It checks the last frame, and the one
// that was the last at the check before.
func (l *OpenLog) compare(s logState) error {
	var head [walHeader]byte
	if _, err := l.f.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("its header cannot be read: %w", err)
	}
	if magic := binary.BigEndian.Uint32(head[:]); magic&^1 != 0x377f0682 || [8]byte(head[16:24]) != s.salts {
		return fmt.Errorf("its header is that of another log")
	}
	if err := l.compareFrame(s, s.frames, s.sum); err != nil {
		return err
	}
	if l.salts != s.salts || l.frame >= s.frames {
		return nil
	}
	return l.compareFrame(s, l.frame, l.sum)
}

func (l *OpenLog) compareFrame(s logState, n uint32, sum [2]uint32) error {
	frame := make([]byte, frameHeader+s.pageSize)
	_, err := l.f.ReadAt(frame, walHeader+int64(n-1)*int64(len(frame)))
	switch {
	case err == io.EOF:
		return fmt.Errorf("it ends before frame %d", n)
	case err != nil:
		return fmt.Errorf("frame %d cannot be read: %w", n, err)
	case [8]byte(frame[8:16]) != s.salts || sumsOf(frame[16:]) != sum:
		return fmt.Errorf("frame %d is not the one that was written", n)
	}
	return nil
}

// WatchLog opens a log and its index for [OpenLog.Look].
func WatchLog(wal, shm string) (OpenLog, error) {
	f, err := os.Open(wal)
	if err != nil {
		return OpenLog{}, err
	}
	index, err := host.Map(shm, 2*indexHead)
	if err != nil {
		f.Close()
		return OpenLog{}, err
	}
	return OpenLog{name: filepath.Base(wal), f: f, index: index}, nil
}

// Close closes both files. No-op for the zero value.
func (l *OpenLog) Close() {
	if l.f == nil {
		return
	}
	l.index.Close()
	l.f.Close()
}

// Named reports whether path still leads to the open log.
func (l *OpenLog) Named(path string) bool {
	if l.f == nil {
		return true
	}
	mine, err := l.f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(mine, now)
}

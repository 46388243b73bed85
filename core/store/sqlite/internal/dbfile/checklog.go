package dbfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/octostore/octostore/core/files"
)

// SQLite takes the first frame of a write-ahead log that does not fit for the end of the
// log. After a power cut it is. But if a frame in the middle was damaged later, SQLite
// would silently forget every commit from there on. The two cases can be told apart: a
// commit is synced before the next one is written, so if a whole later commit follows, the
// disk had the frame once.

const (
	walHeader   = 32
	frameHeader = 24
)

// Damage describes the part of a file that is not as it was written.
type Damage string

func (d Damage) Error() string { return string(d) }

// CheckLog looks for damage in a write-ahead log that no process has open, and returns
// the first pages in it: nil where there is no log, or none that was begun. Damage is an error of type [Damage].
func CheckLog(path string) (*LogPages, error) {
	f, _, err := files.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var header [walHeader]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || header == [walHeader]byte{} {
		return nil, nil // it was never begun
	}
	w, ok := newWALReader(f, header[:])
	if !ok {
		return nil, Damage(fmt.Sprintf("the header of %s does not match its checksum", filepath.Base(path)))
	}
	stamps := &LogPages{}
	if at := w.badFrame(stamps); at > 0 {
		return nil, Damage(fmt.Sprintf("frame %d of %s does not match its checksum, and is not the end", at, filepath.Base(path)))
	}
	return stamps, nil
}

// walReader reads the frames of a log in order.
type walReader struct {
	r     io.Reader
	order binary.ByteOrder // of the words that checksums are made of
	salts [8]byte          // of this log; frames of an earlier one have others
	sum   [2]uint32        // as the newest frame states it
	frame []byte
	// Of the newest frame:
	fits   bool // its checksum continues that of the frame before
	commit bool // it ends a commit
}

func newWALReader(r io.Reader, header []byte) (*walReader, bool) {
	w := &walReader{r: r, order: binary.LittleEndian}
	if header[3]&1 == 1 {
		w.order = binary.BigEndian
	}
	copy(w.salts[:], header[16:24])
	w.sum = sumsOf(header[24:32])
	size := binary.BigEndian.Uint32(header[8:12])
	if size > 1<<16 || w.add([2]uint32{}, header[:24]) != w.sum {
		return nil, false
	}
	w.frame = make([]byte, frameHeader+size)
	return w, true
}

func sumsOf(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// add is SQLite's checksum: that of b in continuation of sum.
func (w *walReader) add(sum [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		sum[0] += w.order.Uint32(b) + sum[1]
		sum[1] += w.order.Uint32(b[4:]) + sum[0]
	}
	return sum
}

// next reads a frame, and reports whether there was a whole one.
func (w *walReader) next() bool {
	if _, err := io.ReadFull(w.r, w.frame); err != nil {
		return false
	}
	head, page := w.frame[:frameHeader], w.frame[frameHeader:]
	before := w.sum
	w.sum = sumsOf(head[16:])
	w.commit = binary.BigEndian.Uint32(head[4:]) != 0
	w.fits = [8]byte(head[8:16]) == w.salts && w.add(w.add(before, head[:8]), page) == w.sum
	return true
}

// badFrame returns the number of the first frame that does not fit although a later commit
// exists; 0 if there is none. It records the first pages in the frames before.
func (w *walReader) badFrame(stamps *LogPages) int {
	bad, committed := 0, false // committed: after the bad frame a commit was completed
	for n := 1; w.next(); n++ {
		if bad == 0 && w.fits {
			stamps.frame(binary.BigEndian.Uint32(w.frame), w.frame[frameHeader:], w.commit)
		}
		switch {
		case bad == 0 && !w.fits:
			bad = n
		case bad > 0 && w.fits && committed:
			return bad
		case bad > 0:
			committed = w.fits && w.commit
		}
	}
	return 0
}

package sqlite

import (
	"encoding/binary"
	"errors"
	"io"
)

// applicationID marks a database file as one of OctoStore: "Octo" in ASCII.
const applicationID = 0x4f63746f

// Places on the first page of a database.
const (
	pageMagic   = "SQLite format 3\x00"
	stampAt     = 40
	versionAt   = 60
	programAt   = 68
	firstNeeded = programAt + 4
)

// firstPage is what the first page of a database says of its stamp.
type firstPage struct {
	stamp   uint32
	version uint32 // of the schema; a migration changes the stamp, too
}

// readFirstPage reads the beginning of a page or of a file, if it is one of ours.
func readFirstPage(b []byte) (p firstPage, ok bool) {
	if len(b) < firstNeeded || string(b[:len(pageMagic)]) != pageMagic || binary.BigEndian.Uint32(b[programAt:]) != applicationID {
		return p, false
	}
	return firstPage{binary.BigEndian.Uint32(b[stampAt:]), binary.BigEndian.Uint32(b[versionAt:])}, true
}

// fileStamp reads the first page of a database file, without its log; ok is false if
// the file has none.
func fileStamp(f io.ReaderAt) (p firstPage, ok bool, err error) {
	var b [firstNeeded]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return p, false, err
	}
	p, ok = readFirstPage(b[:n])
	return p, ok, nil
}

// walStamps gathers the first pages that were committed to a log.
type walStamps struct {
	committed, pending []firstPage
	commits, frames    int  // frames: of the commit that is being read
	stamping           bool // the first commit is nothing but a first page: a start that stamped
}

// frame takes note of the next frame.
func (s *walStamps) frame(page uint32, content []byte, commit bool) {
	s.frames++
	if page == 1 {
		if p, ok := readFirstPage(content); ok {
			s.pending = append(s.pending, p)
		}
	}
	if !commit {
		return
	}
	if s.commits == 0 && s.frames == 1 && page == 1 {
		s.stamping = true
	}
	s.commits++
	s.frames = 0
	s.committed = append(s.committed, s.pending...)
	s.pending = s.pending[:0]
}

// fits reports whether the log may have been written for the file: it has the stamp of
// the file, or none to compare.
func (s *walStamps) fits(file firstPage) bool {
	if s.stamping || len(s.committed) == 0 {
		return true
	}
	for _, p := range s.committed {
		if p.stamp == file.stamp || p.version != file.version {
			return true
		}
	}
	return false
}

// Package dbfile reads the files of a database as bytes, without SQLite: the first page
// of the database, a write-ahead log before SQLite opens it, and one while it is open. It
// finds what SQLite does not look for, and changes nothing.
package dbfile

import (
	"encoding/binary"
	"errors"
	"io"
)

// ApplicationID marks a database file as one of OctoStore: "Octo" in ASCII.
const ApplicationID = 0x4f63746f

// Offsets in the first page of a database.
const (
	pageMagic   = "SQLite format 3\x00"
	stampAt     = 40
	versionAt   = 60
	programAt   = 68
	firstNeeded = programAt + 4
)

// FirstPage is what the first page of a database says of the file it is in.
type FirstPage struct {
	Stamp   uint32 // a random number that the newest start put there
	version uint32 // of the schema; a migration changes the stamp, too
}

// parseFirstPage reads the beginning of a page or of a file; ok is false if it is not one
// of OctoStore.
func parseFirstPage(b []byte) (p FirstPage, ok bool) {
	if len(b) < firstNeeded || string(b[:len(pageMagic)]) != pageMagic || binary.BigEndian.Uint32(b[programAt:]) != ApplicationID {
		return p, false
	}
	return FirstPage{binary.BigEndian.Uint32(b[stampAt:]), binary.BigEndian.Uint32(b[versionAt:])}, true
}

// ReadFirstPage reads the first page of a database file, without its log; ok is false if
// the file has none.
func ReadFirstPage(f io.ReaderAt) (p FirstPage, ok bool, err error) {
	var b [firstNeeded]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return p, false, err
	}
	p, ok = parseFirstPage(b[:n])
	return p, ok, nil
}

// LogPages are the versions of the first page that were committed to a log.
type LogPages struct {
	committed, pending []FirstPage
	commits, frames    int  // frames: of the present commit
	stamping           bool // the first commit is only a first page: a start that stamped
}

// frame records the next frame.
func (s *LogPages) frame(page uint32, content []byte, commit bool) {
	s.frames++
	if page == 1 {
		if p, ok := parseFirstPage(content); ok {
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

// Fits reports whether the log may belong to the file: it has the stamp of the file, or no
// stamp to compare.
func (s *LogPages) Fits(file FirstPage) bool {
	if s.stamping || len(s.committed) == 0 {
		return true
	}
	for _, p := range s.committed {
		if p.Stamp == file.Stamp || p.version != file.version {
			return true
		}
	}
	return false
}

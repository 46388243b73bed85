package rows

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/octostore/octostore/core/lock"
)

// SQLite does not check the pages of a database file. A bit that flipped on the disk in the
// name of a lease would free one lock and take another. So every row carries a checksum of
// its content.

// checksums computes the checksums of one database. They begin with its secret, so that
// rows from another database do not pass. It is used by one goroutine at a time.
type checksums struct {
	seed uint32
	buf  []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newChecksums(secret []byte) checksums {
	return checksums{seed: crc32.Checksum(secret, castagnoli)}
}

// lease returns the checksum of a row of leases. It leaves out the two columns of the
// deadline, which are rewritten in place after a boot. The later of the two counts, bounded
// by the promised time, so no single flipped bit ends a lease early.
func (s *checksums) lease(l *lock.Lease, metadata []byte, remaining int64, attempt []byte) int64 {
	b := s.buf[:0]
	b = appendText(b, l.Name)
	b = appendText(b, l.Account)
	b = appendText(b, l.Holder)
	b = appendText(b, l.Reason)
	b = appendText(b, metadata)
	b = appendText(b, attempt)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Token))
	b = binary.BigEndian.AppendUint64(b, uint64(l.TTL))
	b = binary.BigEndian.AppendUint64(b, uint64(l.GrantedAt.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(remaining))
	if l.ConfirmWithin != 0 { // rows from before this column keep their checksums
		b = binary.BigEndian.AppendUint64(b, uint64(l.ConfirmWithin))
	}
	s.buf = b
	return int64(crc32.Update(s.seed, castagnoli, b))
}

// segment returns the checksum of a row of segments.
func (s *checksums) segment(g *lock.Segment) int64 {
	b := s.buf[:0]
	b = binary.BigEndian.AppendUint64(b, uint64(g.First))
	b = binary.BigEndian.AppendUint64(b, uint64(g.Last))
	b = binary.BigEndian.AppendUint64(b, uint64(g.Count))
	b = binary.BigEndian.AppendUint64(b, uint64(g.Time.UnixNano()))
	s.buf = b
	return int64(int32(crc32.Update(crc32.Update(s.seed, castagnoli, b), castagnoli, g.Bytes)))
}

// appendText appends a text with its length, so that two texts in a row cannot be mistaken
// for two others.
func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

package etcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// ErrDamaged says that a value in etcd is not as a store wrote it: another program changed
// it. Nothing in the table can be relied on then, so a store does not serve it.
var ErrDamaged = errors.New("the table in etcd is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// A value is the version of its form, its fields, and a checksum. The fields are numbers
// (uvarint), and texts with their length in front.
const valueForm = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sums computes checksums. They begin with the secret of the store and the key, so that a
// value of another store or of another key does not pass.
type sums struct {
	seed uint32
	keys keys
}

func newSums(secret []byte, k keys) sums {
	return sums{seed: crc32.Checksum(secret, castagnoli), keys: k}
}

func (s sums) of(key string, value []byte) uint32 {
	return crc32.Update(crc32.Update(s.seed, castagnoli, []byte(s.keys.relative(key))), castagnoli, value)
}

// seal appends the checksum to what is to be stored under a key.
func (s sums) seal(key string, value []byte) string {
	return string(binary.BigEndian.AppendUint32(value, s.of(key, value)))
}

// open returns the fields of a value, or [ErrDamaged].
func (s sums) open(key string, value []byte) (fields, error) {
	n := len(value) - 4
	if n < 1 || binary.BigEndian.Uint32(value[n:]) != s.of(key, value[:n]) {
		return fields{}, damaged("the value of %s does not match its checksum", key)
	}
	if value[0] != valueForm {
		return fields{}, fmt.Errorf("the value of %s has form %d, which a newer OctoStore wrote", key, value[0])
	}
	return fields{left: value[1:n]}, nil
}

// newValue begins a value.
func newValue(capacity int) []byte { return append(make([]byte, 0, capacity+5), valueForm) }

func appendNumber[T ~int | ~int64 | ~uint64](b []byte, n T) []byte {
	return binary.AppendUvarint(b, uint64(n))
}

func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// appendTime appends an instant to the nanosecond, and 0 for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return appendNumber(b, 0)
	}
	return appendNumber(b, t.UnixNano())
}

// fields reads a value from its front. After a mistake it reads nothing, and broken is set.
type fields struct {
	left   []byte
	broken bool
}

func (f *fields) number() int64 {
	n, size := binary.Uvarint(f.left)
	if size <= 0 {
		f.broken, f.left = true, nil
		return 0
	}
	f.left = f.left[size:]
	return int64(n)
}

// bytes returns a part of the value.
func (f *fields) bytes() []byte {
	n := f.number()
	if n < 0 || n > int64(len(f.left)) {
		f.broken, f.left = true, nil
		return nil
	}
	b := f.left[:n:n]
	f.left = f.left[n:]
	return b
}

func (f *fields) text() string { return string(f.bytes()) }

func (f *fields) time() time.Time {
	if n := f.number(); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}

// end checks that the whole value was read.
func (f *fields) end(key string) error {
	if f.broken || len(f.left) > 0 {
		return damaged("the value of %s has other fields than it should", key)
	}
	return nil
}

// leaseValue returns the value for a held name. It has what is left of the lease, because
// that may be more than its ttl: a renewal for less does not shorten a lease.
func (s sums) leaseValue(r *lock.Row) string {
	l := r.Lease
	b := newValue(128 + len(l.Account) + len(l.Holder) + len(l.Reason))
	b = appendNumber(b, l.Token)
	b = appendNumber(b, int64(l.TTL))
	b = appendNumber(b, int64(l.ConfirmWithin))
	b = appendNumber(b, int64(max(0, time.Until(l.ExpiresAt))))
	b = appendTime(b, l.GrantedAt)
	b = appendText(b, l.Account)
	b = appendText(b, l.Holder)
	b = appendText(b, l.Reason)
	b = appendNumber(b, len(l.Metadata))
	for _, k := range slices.Sorted(maps.Keys(l.Metadata)) {
		b = appendText(appendText(b, k), l.Metadata[k])
	}
	b = appendText(b, attemptBytes(r.Attempt))
	return s.seal(s.keys.lease(r.Name), b)
}

func attemptBytes(a lock.Attempt) []byte {
	if a.IsZero() {
		return nil
	}
	return append(a.Key[:], a.Params[:]...)
}

// lease returns the lease that a key holds, with all the time it may have left.
func (s sums) lease(key string, value []byte) (lock.Loaded, error) {
	f, err := s.open(key, value)
	if err != nil {
		return lock.Loaded{}, err
	}
	l := lock.Lease{
		Name:          lock.Name(key[len(s.keys.leases()):]),
		Token:         lock.Token(f.number()),
		TTL:           time.Duration(f.number()),
		ConfirmWithin: time.Duration(f.number()),
	}
	left := time.Duration(f.number())
	l.GrantedAt = f.time()
	l.Account, l.Holder, l.Reason = f.text(), f.text(), f.text()
	for n := f.number(); n > 0 && !f.broken; n-- {
		if l.Metadata == nil {
			l.Metadata = make(map[string]string, min(n, lock.MaxMetadata))
		}
		k := f.text()
		l.Metadata[k] = f.text()
	}
	var attempt lock.Attempt
	if b := f.bytes(); len(b) == len(attempt.Key)+len(attempt.Params) {
		copy(attempt.Params[:], b[copy(attempt.Key[:], b):])
	} else if len(b) > 0 {
		f.broken = true
	}
	return lock.Loaded{Lease: l, Attempt: attempt, Remaining: runAgain(&l, left)}, f.end(key)
}

// runAgain returns for how long a lease runs after the term has changed. How much time has
// passed since its row was written is known to no clock of this machine, so none is taken
// away: the lease ends late, never early. A lease that was over when its row was written
// stays over.
func runAgain(l *lock.Lease, left time.Duration) time.Duration {
	switch {
	case left <= 0:
		return 0
	case l.ConfirmWithin > 0:
		return l.ConfirmWithin
	}
	return max(l.TTL, left)
}

// headValue is what the key head holds: the end of the journal.
type headValue struct {
	lock.Head
	term  int64    // that wrote it
	first lock.Seq // of the newest segment
	total int64    // bytes of all segments ever written
}

func (s sums) headValue(h *headValue) string {
	b := newValue(80)
	b = appendNumber(b, h.term)
	b = appendNumber(b, h.Seq)
	b = appendText(b, h.Hash[:])
	b = appendNumber(b, h.first)
	b = appendNumber(b, h.total)
	return s.seal(s.keys.head(), b)
}

func (s sums) head(value []byte) (h headValue, err error) {
	f, err := s.open(s.keys.head(), value)
	if err != nil {
		return h, err
	}
	h.term = f.number()
	h.Seq = lock.Seq(f.number())
	f.hash(&h.Hash)
	h.first = lock.Seq(f.number())
	h.total = f.number()
	return h, f.end(s.keys.head())
}

func (f *fields) hash(to *lock.Hash) {
	b := f.bytes()
	if copy(to[:], b) != len(to) || len(b) != len(to) {
		f.broken = true
	}
}

func (s sums) cutValue(cut lock.Head) string {
	b := appendText(appendNumber(newValue(48), cut.Seq), cut.Hash[:])
	return s.seal(s.keys.cut(), b)
}

func (s sums) cut(value []byte) (cut lock.Head, err error) {
	f, err := s.open(s.keys.cut(), value)
	if err != nil {
		return cut, err
	}
	cut.Seq = lock.Seq(f.number())
	f.hash(&cut.Hash)
	return cut, f.end(s.keys.cut())
}

// segment is a sealed batch as it is kept.
type segment struct {
	lock.Segment
	prev   lock.Seq // the head before it: the last event of the segment before, however far away
	offset int64    // bytes of all segments before it
}

func (s sums) segmentValue(g *segment) string {
	b := newValue(64 + len(g.Bytes))
	b = appendNumber(b, g.prev)
	b = appendNumber(b, g.Last)
	b = appendNumber(b, g.Count)
	b = appendTime(b, g.Time)
	b = appendNumber(b, g.offset)
	b = appendText(b, g.Bytes)
	return s.seal(s.keys.segment(g.First), b)
}

// segment reads a segment. Its bytes are a part of the value.
func (s sums) segment(key string, value []byte) (g segment, err error) {
	f, err := s.open(key, value)
	if err != nil {
		return g, err
	}
	if g.First, err = s.keys.firstOf(key); err != nil {
		return g, err
	}
	g.prev = lock.Seq(f.number())
	g.Last = lock.Seq(f.number())
	g.Count = int(f.number())
	g.Time = f.time()
	g.offset = f.number()
	g.Bytes = f.bytes()
	return g, f.end(key)
}

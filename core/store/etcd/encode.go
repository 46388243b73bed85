package etcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
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

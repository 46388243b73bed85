package etcd

import (
	"github.com/octostore/octostore/core/lock"
)

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

package activity

import (
	"bytes"
	"math"

	"github.com/octostore/octostore/core/table"
)

// member returns a number of a record. No text of a record can contain the bytes that begin a
// member, as a quote in a text is escaped; a key of the metadata can, but its value is a text.
func member(line []byte, name string) (n int64, has bool) {
	for !has {
		if _, line, has = bytes.Cut(line, []byte(name)); !has {
			return 0, false
		}
		has = len(line) > 0 && '0' <= line[0] && line[0] <= '9'
	}
	for i := 0; i < len(line) && '0' <= line[i] && line[i] <= '9' && i < 15; i++ {
		n = 10*n + int64(line[i]-'0')
	}
	return n, true
}

// spans counts waits in classes: the first is below a millisecond, and each other one wider than
// the one before by a fifth, up to a day. So the error of a quantile is a tenth at most. The
// histogram of a library takes 18 KB, which is too much for each of thousands of locks.
type spans struct {
	counts []uint32 // nil: nothing was counted
	total  uint32
}

const (
	perOctave = 4
	classes   = 1 + perOctave*27 // 2^27 ms are more than a day
)

func (s *spans) observe(ms int64) {
	if s.counts == nil {
		s.counts = make([]uint32, classes)
	}
	class := 0
	if ms > 0 {
		class = min(classes-1, 1+int(perOctave*math.Log2(float64(ms))))
	}
	s.counts[class]++
	s.total++
}

func (s *spans) add(t *spans) {
	if t.total == 0 {
		return
	}
	if s.counts == nil {
		s.counts = make([]uint32, classes)
	}
	for i, n := range t.counts {
		s.counts[i] += n
	}
	s.total += t.total
}

// quantile returns the milliseconds that a part of the waits did not exceed, nil without waits.
func (s *spans) quantile(part float64) *float64 {
	if s.total == 0 {
		return nil
	}
	rank := uint32(math.Ceil(part * float64(s.total)))
	seen := uint32(0)
	for i, n := range s.counts {
		if seen += n; seen >= rank {
			return new(rounded(middle(i)))
		}
	}
	return nil
}

// middle returns the milliseconds in the middle of a class.
func middle(class int) float64 {
	if class == 0 {
		return 0.5
	}
	return math.Exp2((float64(class-1) + 0.5) / perOctave)
}

// between returns the median and the 99th percentile, in milliseconds, of what a histogram of
// seconds counted between two readings, nil if it counted nothing. Within a bucket the values
// count as evenly spread.
func between(before, after table.Histogram) (median, high *float64) {
	counted := make([]uint64, len(after.Counts))
	total := uint64(0)
	for i := range counted {
		counted[i] = after.Counts[i]
		if i < len(before.Counts) {
			counted[i] -= before.Counts[i]
		}
		total += counted[i]
	}
	if total == 0 {
		return nil, nil
	}
	at := func(part float64) *float64 {
		rank, seen := part*float64(total), 0.0
		for i, n := range counted {
			if n == 0 || seen+float64(n) < rank {
				seen += float64(n)
				continue
			}
			return new(rounded(1000 * inBucket(after.Bounds, i, (rank-seen)/float64(n))))
		}
		return nil
	}
	return at(0.5), at(0.99)
}

// inBucket returns the value at a part of the way through a bucket. The last has no end, so its
// beginning has to do.
func inBucket(bounds []float64, i int, part float64) float64 {
	from := 0.0
	if i > 0 {
		from = bounds[i-1]
	}
	if i == len(bounds) {
		return from
	}
	return from + part*(bounds[i]-from)
}

// rounded returns three significant digits: more would pretend to know.
func rounded(v float64) float64 {
	if v <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	return math.Round(v/unit) * unit
}

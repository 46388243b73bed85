package limit

import (
	"sync"
	"time"
)

// Bucket is the token bucket of one account or address. Times are nanoseconds since the
// limits began.
type Bucket struct {
	full     int64 // when the bucket is full again
	inFlight int64 // requests
}

// take takes one token from a bucket that refills one per interval, and holds a burst's
// worth of intervals. If the bucket is empty it returns how long to wait for a token.
func (b *Bucket) take(now, interval, burst int64) (wait time.Duration) {
	full := max(b.full, now) + interval
	if wait := full - now - burst; wait > 0 {
		return time.Duration(wait)
	}
	b.full = full
	return 0
}

// buckets are the buckets of all accounts, or of all addresses, that used something lately.
// A full bucket with no request in flight is dropped, as it is like a new one.
type buckets[K comparable] struct {
	most int // how many there may be; the others share one. 0: any number

	mu     sync.Mutex
	all    map[K]*Bucket
	shared Bucket
	sweep  int   // at this number full buckets are dropped
	swept  int64 // when that was done last
}

const (
	leastSweep    = 1024
	mostAddresses = 1 << 16
	sweepPause    = int64(time.Second)
)

// of returns the bucket of k. The caller holds mu.
func (bs *buckets[K]) of(k K, now int64) *Bucket {
	if b := bs.all[k]; b != nil {
		return b
	}
	if len(bs.all) >= bs.sweep {
		bs.dropFull(now)
	}
	if bs.most > 0 && len(bs.all) >= bs.most {
		return &bs.shared
	}
	b := new(Bucket)
	bs.all[k] = b
	return b
}

// dropFull drops the buckets that are full, at most once per sweepPause: a flood of new
// addresses must not cause a sweep for each.
func (bs *buckets[K]) dropFull(now int64) {
	if bs.all == nil {
		bs.all = map[K]*Bucket{}
	} else if now < bs.swept+sweepPause {
		return
	}
	bs.swept = now
	for k, b := range bs.all {
		if b.inFlight == 0 && b.full <= now {
			delete(bs.all, k)
		}
	}
	bs.sweep = max(leastSweep, 2*len(bs.all))
	if bs.most > 0 {
		bs.sweep = min(bs.sweep, bs.most)
	}
}

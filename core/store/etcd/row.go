package etcd

import (
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/lock"
)

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

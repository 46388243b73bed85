package etcd

import (
	"context"
	"errors"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// oldTermsStay is how long the segments of a term stay at least after it has ended. A node that
// lost the term may still want to know whether its last batch was applied.
const oldTermsStay = 2 * definiteFor

// pastEvery is how often the time since earlier terms have ended is stored.
const pastEvery = 15 * time.Second

// past says how long ago earlier terms ended, at least. It adds up what the nodes that served
// since have measured, each on its own clock: the times of two clocks are never compared.
type past struct {
	settled lock.Seq      // the terms up to this head ended more than oldTermsStay ago
	ended   lock.Seq      // the terms up to this head ended longer ago than waited
	waited  time.Duration // less than oldTermsStay
}

// after returns what is known when a term has lasted for some time. It began with this head.
func (p past) after(began lock.Seq, lasts time.Duration) past {
	if p.ended <= p.settled { // no time was measured for the terms since
		p.ended, p.waited = began, 0
	}
	switch p.waited += lasts; {
	case p.waited < oldTermsStay:
		return p
	case lasts < oldTermsStay:
		return past{settled: p.ended, ended: began, waited: lasts}
	}
	return past{settled: began, ended: began}
}

func (s sums) pastValue(p past) string {
	b := appendNumber(appendNumber(appendNumber(newValue(24), p.settled), p.ended), int64(p.waited))
	return s.seal(s.keys.past(), b)
}

func (s sums) past(value []byte) (p past, err error) {
	f, err := s.open(s.keys.past(), value)
	if err != nil {
		return p, err
	}
	p.settled, p.ended, p.waited = lock.Seq(f.number()), lock.Seq(f.number()), time.Duration(f.number())
	return p, f.end(s.keys.past())
}

// pastNow returns what is known now.
func (r *records) pastNow(ctx context.Context) (past, error) {
	before := r.pastBefore.Load()
	if before == nil {
		found, err := r.get(ctx, r.keys.past())
		if err != nil {
			return past{}, err
		}
		before = new(past)
		if len(found.Kvs) > 0 {
			if *before, err = r.sums.past(found.Kvs[0].Value); err != nil {
				return past{}, err
			}
		}
		// Only the first may be kept: what this term has stored has its own time in it.
		if !r.pastBefore.CompareAndSwap(nil, before) {
			before = r.pastBefore.Load()
		}
	}
	return before.after(r.began, r.clock()-r.taken), nil
}

// agePast stores the time since earlier terms have ended, and deletes those of their segments that
// are cut off and need not stay. Done: none of them has to stay any more.
func (r *records) agePast(ctx context.Context) (done bool, err error) {
	now, err := r.pastNow(ctx)
	if err != nil {
		return false, err
	}
	cut, err := r.Cut(ctx)
	if err != nil {
		return false, err
	}
	err = r.write(ctx, func(context.Context) ([]clientv3.Op, error) {
		return []clientv3.Op{clientv3.OpPut(r.keys.past(), r.sums.pastValue(now))}, nil
	})
	return now.settled >= r.began, errors.Join(err, r.deleteSegments(ctx, r.keys.segments(), min(cut.Seq, now.settled)))
}

// keepAgingPast calls agePast again and again, until it is done or ctx ends.
func (r *records) keepAgingPast(ctx context.Context, every time.Duration) {
	failing := false
	for sleep.For(ctx, every) == nil {
		if !r.loaded.Load() {
			continue
		}
		done, err := r.agePast(ctx)
		switch {
		case err == nil && done, errors.Is(err, lock.ErrDeposed), ctx.Err() != nil:
			return
		case err != nil && !failing && !errors.Is(err, lock.ErrFull): // that is logged elsewhere
			r.log.Warn("how long ago earlier terms ended cannot be stored; their records stay longer in etcd", slog.Any("error", err))
		}
		failing = err != nil
	}
}

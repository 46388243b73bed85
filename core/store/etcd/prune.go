package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

const (
	pruneStep = 256 // segments
	pruneRest = 5 * time.Millisecond
)

// Cut returns the cut of the newest Prune.
func (r *records) Cut(ctx context.Context) (lock.Head, error) {
	if cut := r.cached.Load(); cut != nil {
		return *cut, nil
	}
	cut, err := r.readCut(ctx)
	if err != nil {
		return lock.Head{}, fmt.Errorf("read the cut of the journal: %w", err)
	}
	r.cached.CompareAndSwap(nil, &cut)
	return cut, nil
}

func (r *records) readCut(ctx context.Context) (cut lock.Head, err error) {
	found, err := r.get(ctx, r.keys.cut())
	if err != nil || len(found.Kvs) == 0 {
		return cut, err
	}
	return r.sums.cut(found.Kvs[0].Value)
}

// Prune deletes the oldest segments; see [journal.Store]. For an hour after a term its segments
// are cut off, but stay: [records.agePast], or a later call, deletes them.
func (r *records) Prune(ctx context.Context, cut lock.Head) error {
	if err := r.prune(ctx, cut); err != nil {
		return fmt.Errorf("prune the journal: %w", err)
	}
	return nil
}

func (r *records) prune(ctx context.Context, cut lock.Head) error {
	switch {
	case !r.loaded.Load():
		return errors.New("prune before load")
	case uint64(cut.Seq) >= r.newest.Load():
		return fmt.Errorf("the newest segment, up to %d, is not before %d", r.newest.Load(), cut.Seq)
	}
	if err := r.setCut(ctx, cut); err != nil {
		return err
	}
	known, err := r.pastNow(ctx)
	if err != nil {
		return err
	}
	if err := r.deleteSegments(ctx, r.keys.segments(), min(cut.Seq, known.settled)); err != nil {
		return err
	}
	return r.deleteSegments(ctx, r.keys.segment(r.began+1), cut.Seq)
}

// deleteSegments deletes the segments from a key up to an event, in small steps.
func (r *records) deleteSegments(ctx context.Context, from string, upTo lock.Seq) error {
	for from <= r.keys.segment(upTo) {
		start := time.Now()
		more, err := r.pruneSome(ctx, from, upTo)
		if err != nil || !more {
			return err
		}
		if err := sleep.For(ctx, pruneRest+time.Since(start)); err != nil {
			return err
		}
	}
	return nil
}

// setCut stores the cut, unless there is a later one.
func (r *records) setCut(ctx context.Context, cut lock.Head) error {
	before, err := r.Cut(ctx)
	if err != nil || before.Seq >= cut.Seq {
		return err
	}
	err = r.write(ctx, func(context.Context) ([]clientv3.Op, error) {
		return []clientv3.Op{clientv3.OpPut(r.keys.cut(), r.sums.cutValue(cut))}, nil
	})
	if err == nil {
		r.cached.Store(&cut)
	}
	return err
}

// pruneSome deletes a few segments, and reports whether there are more. A copy that comes
// late does no harm: what it deletes is cut off.
func (r *records) pruneSome(ctx context.Context, from string, cut lock.Seq) (more bool, err error) {
	end := afterKey(r.keys.segment(cut))
	found, err := r.get(ctx, from, clientv3.WithRange(end), clientv3.WithKeysOnly(), clientv3.WithLimit(pruneStep))
	if err != nil || len(found.Kvs) == 0 {
		return false, err
	}
	to := afterKey(string(found.Kvs[len(found.Kvs)-1].Key))
	answer, err := r.read(ctx, clientv3.OpTxn(r.guard(), []clientv3.Op{clientv3.OpDelete(from, clientv3.WithRange(to))}, nil))
	if err != nil {
		return false, err
	}
	if !answer.Txn().Succeeded {
		return false, r.depose("prune")
	}
	return found.More, nil
}

// Used returns the bytes of all segments that are not cut off. It falls with the cut, not
// with what etcd has freed.
func (r *records) Used(ctx context.Context) (int64, error) {
	cut, err := r.Cut(ctx)
	if err != nil || !r.loaded.Load() {
		return 0, err
	}
	oldest, _, err := r.scan(ctx, cut.Seq+1, lock.Seq(r.newest.Load()), 1)
	if err != nil || len(oldest) == 0 {
		return 0, err
	}
	return r.total.Load() - oldest[0].offset, nil
}

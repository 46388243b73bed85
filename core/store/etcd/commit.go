package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
)

// Limits of a batch. etcd allows 128 operations and 1.5 MiB for a transaction.
const (
	batchEvents = 100
	batchBytes  = 512 << 10 // of lines; the rows may be as large

	flatOps   = 120 // more are sent as transactions within the transaction
	nestedOps = 60  // in each of them: the operations of all levels count, down to the deepest
	mostOps   = nestedOps * nestedOps
	mostBytes = 1500 << 10
	mostSpan  = 1 << 14 // a segment of mostBytes has fewer events, see [records.before]
)

// definiteFor is the age up to which the absence of a segment shows that it will never be
// there. Segments are pruned only after twice that, see [records.Prune].
const definiteFor = 30 * time.Minute

// commit is a batch on its way. What is sent is the same each time.
type commit struct {
	op      clientv3.Op
	segment string // its key
	value   string // of the segment
	next    headValue
	since   time.Duration // when it was first sent, on the boot clock
	// unanswered says that a copy was sent that may still be applied, whatever the answers
	// to other copies say.
	unanswered bool
}

// Commit makes the batch durable; see table.Store. When ctx ends, a batch whose outcome is not
// known yet is given up, and the outcome stays unknown. After an error other than
// [lock.ErrFull] the store commits nothing more.
//
// A batch too large for one transaction is refused with [lock.ErrFull]. The store never
// splits one.
func (r *records) Commit(ctx context.Context, b *lock.Batch) error {
	if err := r.accepts(b); err != nil {
		return err
	}
	c, err := r.prepare(b)
	if err != nil {
		r.log.Error("a batch is too large for etcd and was refused", "events", b.Segment.Count, "names", len(b.Rows), "error", err)
		return lock.ErrFull
	}
	rev, err := r.apply(ctx, c)
	switch {
	case errors.Is(err, lock.ErrFull):
		return err
	case err != nil:
		r.finished = err
		return err
	}
	r.headRev, r.head = rev, c.next
	r.total.Store(c.next.total)
	r.newest.Store(uint64(c.next.Seq))
	return nil
}

// accepts finds mistakes of the caller before anything is sent.
func (r *records) accepts(b *lock.Batch) error {
	switch g := &b.Segment; {
	case r.finished != nil:
		return r.finished
	case !r.loaded.Load():
		return errors.New("commit before load")
	case b.Prev != r.head.Head:
		return lock.ErrDeposed
	case g.Count == 0 || len(g.Bytes) == 0:
		return errors.New("commit of a batch that was not sealed")
	case g.First <= r.head.Seq || g.Last < g.First:
		return fmt.Errorf("commit of events %d to %d after %d", g.First, g.Last, r.head.Seq)
	}
	return nil
}

// prepare makes the transaction of a batch, or says why it is too large.
func (r *records) prepare(b *lock.Batch) (*commit, error) {
	g := segment{Segment: b.Segment, prev: b.Prev.Seq, offset: r.head.total}
	c := &commit{segment: r.keys.segment(g.First), value: r.sums.segmentValue(&g)}
	c.next = headValue{Head: b.Next, term: r.created, first: g.First, total: g.offset + int64(len(c.value))}
	head := r.sums.headValue(&c.next)
	ops := append(make([]clientv3.Op, 0, 2+len(b.Rows)), clientv3.OpPut(r.keys.head(), head), clientv3.OpPut(c.segment, c.value))
	size := len(head) + len(c.value)
	for i := range b.Rows {
		row := &b.Rows[i]
		key := r.keys.lease(row.Name)
		size += len(key) + 16
		if row.Lease == nil {
			ops = append(ops, clientv3.OpDelete(key))
			continue
		}
		value := r.sums.leaseValue(row)
		size += len(value)
		ops = append(ops, clientv3.OpPut(key, value))
	}
	switch {
	case size > mostBytes:
		return nil, fmt.Errorf("it has %d bytes, more than %d", size, mostBytes)
	case len(ops) > mostOps:
		return nil, fmt.Errorf("it has %d operations, more than %d", len(ops), mostOps)
	case g.Last-g.First >= mostSpan:
		return nil, fmt.Errorf("its numbers span %d, more than %d", g.Last-g.First, mostSpan)
	}
	guard := append(r.guard(), clientv3.Compare(clientv3.ModRevision(r.keys.head()), "=", r.headRev))
	c.op = clientv3.OpTxn(guard, nested(ops), r.look(c))
	return c, nil
}

// nested returns the operations in a form that etcd accepts. It counts the operations of a
// transaction and those of the transactions within it separately, and applies all of them
// or none.
func nested(ops []clientv3.Op) []clientv3.Op {
	if len(ops) <= flatOps {
		return ops
	}
	var outer []clientv3.Op
	for len(ops) > 0 {
		n := min(nestedOps, len(ops))
		outer = append(outer, clientv3.OpTxn(nil, ops[:n:n], nil))
		ops = ops[n:]
	}
	return outer
}

// look returns the reads that show what became of a batch.
func (r *records) look(c *commit) []clientv3.Op {
	return []clientv3.Op{clientv3.OpGet(r.keys.own()), clientv3.OpGet(r.keys.head()), clientv3.OpGet(c.segment)}
}

// apply sends the transaction until its outcome is known, and returns the revision that
// applied it.
func (r *records) apply(ctx context.Context, c *commit) (rev int64, err error) {
	c.since = r.clock()
	var p pauses
	for {
		answer, err := r.try(ctx, c.op, p.answer(), graceTime)
		switch f := fateOf(err); {
		case f == answered && answer.Txn().Succeeded:
			return answer.Txn().Header.Revision, nil
		case f == answered:
			return r.decide(c, answer.Txn())
		case f == noSpace:
			r.space.ranOut()
			if rev, known, err := r.resolveFull(ctx, c); known {
				return rev, err
			}
		case f == impossible && !c.unanswered:
			r.log.Error("etcd refuses a batch for its size: its --max-request-bytes or --max-txn-ops are below their defaults", "error", err)
			return 0, lock.ErrFull
		case f == unknown:
			c.unanswered = true
		}
		if ctx.Err() != nil || p.wait(ctx) != nil {
			r.counts.unknown.Add(1)
			return 0, fmt.Errorf("commit of events from %d on: %w: %w", c.next.first, lock.ErrOutcomeUnknown, errors.Join(ctx.Err(), err))
		}
		r.counts.retries.Add(1)
	}
}

// decide says what became of a batch whose transaction was not applied this time. The
// segment decides: the head may be the next term's already.
func (r *records) decide(c *commit, answer *clientv3.TxnResponse) (rev int64, err error) {
	own, head, found := rangeOf(answer, 0), rangeOf(answer, 1), rangeOf(answer, 2)
	switch {
	case valueOf(found.Kvs) == c.value:
		return revisionOf(found.Kvs), nil // by an earlier copy
	case r.ours(own):
		r.log.Error("the table in etcd has another head than this term wrote", "revision", revisionOf(head.Kvs), "want", r.headRev)
		return 0, r.fail(fmt.Errorf("commit of events from %d on: %w", c.next.first, errAnotherWriter))
	case r.clock()-c.since > definiteFor: // a copy may have been applied, and its segment pruned
		r.counts.unknown.Add(1)
		return 0, fmt.Errorf("commit of events from %d on, whose term has ended long ago: %w", c.next.first, lock.ErrOutcomeUnknown)
	}
	return 0, r.depose("commit")
}

// resolveFull finds out whether etcd has applied a batch although it said that it has no
// space. Not known: an earlier copy may still come.
func (r *records) resolveFull(ctx context.Context, c *commit) (rev int64, known bool, err error) {
	answer, err := r.try(ctx, clientv3.OpTxn(nil, r.look(c), nil), answerTime, graceTime)
	if err != nil {
		return 0, false, err
	}
	own, head := rangeOf(answer.Txn(), 0), rangeOf(answer.Txn(), 1)
	if !r.ours(own) || revisionOf(head.Kvs) != r.headRev {
		rev, err := r.decide(c, answer.Txn())
		return rev, true, err
	}
	return 0, !c.unanswered, lock.ErrFull
}

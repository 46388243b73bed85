package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

// beside is the state of the writes beside the journal: tokens, cursors, the cut. They are a
// chain of their own: each demands the term and the write before it, and leaves its mark. So
// a late copy of an older one is never applied after a newer one.
type beside struct {
	turn  chan struct{} // capacity 1: held during a write
	rev   int64         // ModRevision of the mark
	known bool          // rev is what etcd had last
	count int64         // of the marks of this term
}

// errNothing is returned by what makes operations when there is nothing to write.
var errNothing = errors.New("nothing to write")

// write applies the operations that make returns, all or none, with the errors of
// auth.Store. It calls make again where an earlier write, whose outcome was unknown, turned
// out to be applied meanwhile; what make has read is then read again.
func (r *records) write(ctx context.Context, makeOps func(context.Context) ([]clientv3.Op, error)) error {
	ctx, cancel := r.alive(ctx)
	defer cancel()
	select {
	case r.aside.turn <- struct{}{}:
		defer func() { <-r.aside.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := r.learnMark(ctx); err != nil {
			return err
		}
		ops, err := makeOps(ctx)
		switch {
		case errors.Is(err, errNothing):
			return nil
		case err != nil:
			return err
		}
		again, err := r.writeOnce(ctx, ops)
		if !again {
			return err
		}
	}
}

// learnMark reads the mark of the newest write, if it is not known.
func (r *records) learnMark(ctx context.Context) error {
	if r.aside.known {
		return nil
	}
	found, err := r.get(ctx, r.keys.beside())
	if err != nil {
		return err
	}
	r.aside.rev, r.aside.known = revisionOf(found.Kvs), true
	return nil
}

// writeOnce sends operations until their outcome is known. Again: surely not applied, since
// the mark was another one.
func (r *records) writeOnce(ctx context.Context, ops []clientv3.Op) (again bool, err error) {
	r.aside.count++
	mark := fmt.Sprintf("%d/%d", r.created, r.aside.count)
	look := []clientv3.Op{clientv3.OpGet(r.keys.own()), clientv3.OpGet(r.keys.beside())}
	guard := append(r.guard(), clientv3.Compare(clientv3.ModRevision(r.keys.beside()), "=", r.aside.rev))
	op := clientv3.OpTxn(guard, nested(append([]clientv3.Op{clientv3.OpPut(r.keys.beside(), mark)}, ops...)), look)
	// Whether a copy may still be applied, and whether one may have been: etcd also says that it has
	// no space about a write that it applies.
	unanswered, doubted := false, false
	var p pauses
	for {
		answer, err := r.try(ctx, op, p.answer(), graceTime)
		f := fateOf(err)
		switch {
		case f == answered && answer.Txn().Succeeded:
			r.aside.rev = answer.Txn().Header.Revision
			return false, nil
		case f == answered:
			return r.decideBeside(answer.Txn(), mark, doubted)
		case f == noSpace:
			doubted = true
			r.space.ranOut()
			if answer, err := r.try(ctx, clientv3.OpTxn(nil, look, nil), answerTime, graceTime); err == nil {
				return r.resolveFullBeside(answer.Txn(), mark, unanswered)
			}
		case f == impossible && !unanswered:
			return false, err
		case f == unknown:
			unanswered, doubted = true, true
		}
		if ctx.Err() != nil || p.wait(ctx) != nil {
			if !doubted {
				r.aside.known = false
				return false, fmt.Errorf("etcd does not take it: %w", errors.Join(ctx.Err(), err))
			}
			return false, r.giveUpBeside(errors.Join(ctx.Err(), err))
		}
		r.counts.retries.Add(1)
	}
}

// giveUpBeside returns the error of a write that was applied, or not, or may be later.
func (r *records) giveUpBeside(err error) error {
	r.aside.known = false
	r.counts.unknown.Add(1)
	return fmt.Errorf("%w: %w", lock.ErrOutcomeUnknown, err)
}

// resolveFullBeside says what became of a write about which etcd said that it has no space. If a
// copy of it may still be applied, that is not waited for: only a person gives etcd space again,
// and all other writes would wait, too.
func (r *records) resolveFullBeside(answer *clientv3.TxnResponse, mark string, unanswered bool) (again bool, err error) {
	switch {
	case !r.untouchedBeside(answer):
		return r.decideBeside(answer, mark, true)
	case unanswered:
		return false, r.giveUpBeside(rpctypes.ErrNoSpace)
	}
	return false, lock.ErrFull
}

// untouchedBeside reports whether the term goes on and nothing was written beside the
// journal.
func (r *records) untouchedBeside(answer *clientv3.TxnResponse) bool {
	own, mark := rangeOf(answer, 0), rangeOf(answer, 1)
	return r.ours(own) && revisionOf(mark.Kvs) == r.aside.rev
}

// decideBeside says what became of a write that was not applied this time. Once the term is over,
// the mark may be the next term's already, and shows nothing of a copy that may have been applied.
func (r *records) decideBeside(answer *clientv3.TxnResponse, mark string, doubted bool) (again bool, err error) {
	own, found := rangeOf(answer, 0), rangeOf(answer, 1)
	switch {
	case valueOf(found.Kvs) == mark: // by an earlier copy
		r.aside.rev = revisionOf(found.Kvs)
		return false, nil
	case r.ours(own): // an older write was applied late, and this one never will be
		r.aside.rev = revisionOf(found.Kvs)
		return true, nil
	case doubted:
		r.counts.unknown.Add(1)
		return false, errors.Join(lock.ErrOutcomeUnknown, r.depose("write beside the journal"))
	}
	return false, r.depose("write beside the journal")
}

func rangeOf(answer *clientv3.TxnResponse, n int) *clientv3.GetResponse {
	return (*clientv3.GetResponse)(answer.Responses[n].GetResponseRange())
}

// revisionOf returns the ModRevision of a key, or 0 if it is not there.
func revisionOf(found []*mvccpb.KeyValue) int64 {
	if len(found) == 0 {
		return 0
	}
	return found[0].ModRevision
}

func valueOf(found []*mvccpb.KeyValue) string {
	if len(found) == 0 {
		return ""
	}
	return string(found[0].Value)
}

func (s sums) cursorValue(c *journal.ObserverCursor) string {
	b := appendNumber(appendNumber(newValue(24), c.After), c.Parked)
	return s.seal(s.keys.observer(c.Observer), b)
}

func (s sums) cursor(key string, value []byte) (c journal.ObserverCursor, err error) {
	f, err := s.open(key, value)
	if err != nil {
		return c, err
	}
	c.Observer = key[len(s.keys.observers()):]
	c.After = lock.Seq(f.number())
	c.Parked = uint64(f.number())
	return c, f.end(key)
}

// ObserverCursors returns the cursors of all observers, ordered by name.
func (r *records) ObserverCursors(ctx context.Context) ([]journal.ObserverCursor, error) {
	var all []journal.ObserverCursor
	err := r.each(ctx, r.keys.observers(), func(key string, value []byte) error {
		c, err := r.sums.cursor(key, value)
		all = append(all, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the cursors of observers: %w", err)
	}
	return all, nil
}

// SetObserverCursors stores the cursors of some observers and forgets others, all or none.
// Without space it does nothing but return [lock.ErrFull]: the last space is for the ends of
// leases.
func (r *records) SetObserverCursors(ctx context.Context, set []journal.ObserverCursor, forget []string) error {
	if r.Full() {
		return lock.ErrFull
	}
	put := make(map[string]bool, len(set))
	var ops []clientv3.Op
	for i := range set {
		put[set[i].Observer] = true
		ops = append(ops, clientv3.OpPut(r.keys.observer(set[i].Observer), r.sums.cursorValue(&set[i])))
	}
	for _, name := range forget {
		if !put[name] {
			put[name] = true
			ops = append(ops, clientv3.OpDelete(r.keys.observer(name)))
		}
	}
	if len(ops) == 0 {
		return nil
	}
	err := r.write(ctx, func(context.Context) ([]clientv3.Op, error) { return ops, nil })
	if err != nil {
		return fmt.Errorf("write the cursors of observers: %w", err)
	}
	return nil
}

// each calls f with all keys that have a prefix, in order.
func (r *records) each(ctx context.Context, prefix string, f func(key string, value []byte) error) error {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		page, err := r.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(loadPage))
		if err != nil {
			return err
		}
		for _, kv := range page.Kvs {
			if err := f(string(kv.Key), kv.Value); err != nil {
				return err
			}
			from = afterKey(string(kv.Key))
		}
		if !page.More {
			return nil
		}
	}
}

package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

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

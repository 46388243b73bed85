package etcd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
)

// Load returns the state of the last commit of all terms. Each lease runs again for as long
// as it may have left, see [runAgain]. A term that is over gets [lock.ErrDeposed].
func (r *records) Load(ctx context.Context) (lock.Snapshot, error) {
	for {
		snap, err := r.load(ctx)
		if errors.Is(err, rpctypes.ErrCompacted) && ctx.Err() == nil {
			continue // the pages were of one revision, and etcd has forgotten it meanwhile
		}
		if err != nil && !errors.Is(err, lock.ErrDeposed) {
			err = fmt.Errorf("load the table below %s: %w", r.prefix, err)
		}
		return snap, err
	}
}

func (r *records) load(ctx context.Context) (snap lock.Snapshot, err error) {
	answer, err := r.read(ctx, clientv3.OpTxn(r.guard(), []clientv3.Op{clientv3.OpGet(r.keys.head())}, nil))
	if err != nil {
		return snap, err
	}
	if !answer.Txn().Succeeded {
		return snap, r.depose("load")
	}
	rev, found := answer.Txn().Header.Revision, answer.Txn().Responses[0].GetResponseRange().Kvs
	head, headRev, err := r.loadHead(ctx, found, rev)
	if err != nil {
		return snap, err
	}
	snap.Leases, err = r.loadLeases(ctx, rev)
	if err != nil {
		return snap, err
	}
	r.head, r.headRev = head, headRev
	if !r.loaded.Load() {
		r.began = head.Seq
	}
	r.total.Store(head.total)
	r.newest.Store(uint64(head.Seq))
	r.loaded.Store(true)
	snap.Head, snap.Secret = head.Head, slices.Clone(r.secret)
	snap.MaxEvents, snap.MaxBytes = batchEvents, batchBytes
	return snap, nil
}

// loadHead reads the head, and checks that the newest segment leads to it.
func (r *records) loadHead(ctx context.Context, found []*mvccpb.KeyValue, rev int64) (head headValue, headRev int64, err error) {
	if len(found) == 0 {
		return head, 0, nil // a new table
	}
	if head, err = r.sums.head(found[0].Value); err != nil {
		return head, 0, err
	}
	key := r.keys.segment(head.first)
	newest, err := r.get(ctx, key, clientv3.WithRev(rev))
	if err != nil {
		return head, 0, err
	}
	if len(newest.Kvs) == 0 {
		return head, 0, damaged("%s is missing, the newest segment", key)
	}
	g, err := r.sums.segment(key, newest.Kvs[0].Value)
	if err != nil {
		return head, 0, err
	}
	lines := bytes.TrimSuffix(g.Bytes, []byte("\n"))
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	if g.Last != head.Seq || sha256.Sum256(last) != head.Hash {
		return head, 0, damaged("%s does not lead to the head, which is %d", key, head.Seq)
	}
	return head, found[0].ModRevision, nil
}

// loadPage is the number of leases that are read at a time.
const loadPage = 1000

// loadLeases reads all leases as of one revision.
func (r *records) loadLeases(ctx context.Context, rev int64) ([]lock.Loaded, error) {
	var all []lock.Loaded
	from, end := r.keys.leases(), clientv3.GetPrefixRangeEnd(r.keys.leases())
	for {
		page, err := r.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(loadPage), clientv3.WithRev(rev))
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make([]lock.Loaded, 0, page.Count)
		}
		for _, kv := range page.Kvs {
			l, err := r.sums.lease(string(kv.Key), kv.Value)
			if err != nil {
				return nil, err
			}
			all = append(all, l)
		}
		if !page.More {
			return all, nil
		}
		from = afterKey(string(page.Kvs[len(page.Kvs)-1].Key))
	}
}

// Key returns the key that signs the journal.
func (r *records) Key(context.Context) (ed25519.PrivateKey, error) { return slices.Clone(r.key), nil }

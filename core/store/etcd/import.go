package etcd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/etcd/internal/dial"
)

// CopyingNode is the node that [Owner] names while a table is being filled. An import that was
// killed leaves it behind, so that no node ever serves half a table.
const CopyingNode = "octostore store copy"

// Reasons not to fill a prefix.
var (
	// ErrNotEmpty says that there is something below the prefix already.
	ErrNotEmpty = errors.New("it is not empty")
	// ErrWithin says that the prefix lies within that of another table.
	ErrWithin = errors.New("it lies within another table")
)

// ErrHalfCopied says that an import has begun to fill the table, and either goes on or was killed.
// Until what it has written is deleted, nobody can use the prefix.
var ErrHalfCopied = errors.New("octostore store copy has begun to fill it, and has not ended")

// halfCopied returns [ErrHalfCopied] with what to do.
func halfCopied(prefix string, own ownValue) error {
	return fmt.Errorf("%w since %s; if it was killed, stop all nodes, delete what it has written with etcdctl del --prefix %s, and copy again",
		ErrHalfCopied, own.Since.UTC().Format(time.RFC3339), prefix)
}

// Bounds of one transaction of an import.
const (
	importOps   = 100
	importBytes = 1 << 20
)

// Import fills a prefix of etcd that is empty; see [content.Writer]. Until it is finished it
// holds the key of the term, without a lease.
type Import struct {
	client  *clientv3.Client
	records *records // created and value are those of the import's own key
	meta    meta
	table   content.Table
	room    int64

	head  headValue // so far
	ops   []clientv3.Op
	bytes int // of ops
	done  bool
}

var _ content.Writer = (*Import)(nil)

// NewImport begins to fill the prefix with a table. Errors: [ErrNotEmpty], [ErrWithin],
// [ErrHalfCopied], and those of [Open].
func NewImport(ctx context.Context, cfg Config, t content.Table) (*Import, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := dial.Open(ctx, cfg.dial())
	if err != nil {
		return nil, err
	}
	im := &Import{client: client, table: t, meta: newMeta()}
	im.meta.Secret, im.meta.Seed = t.Secret, t.Key.Seed()
	if err := im.begin(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("write a table below %s: %w", cfg.Prefix, err), client.Close())
	}
	return im, nil
}

func (im *Import) begin(ctx context.Context, cfg Config) error {
	value, err := json.Marshal(ownValue{Node: CopyingNode, Since: time.Now(), Process: rand.Text(), Random: rand.Text()})
	if err != nil {
		return err
	}
	space := newSpace(im.client, cfg.Logger)
	space.refresh(ctx)
	im.room = space.now().Quota / 4
	r := newRecords(hold{
		kv: im.client, prefix: cfg.Prefix, value: string(value), secret: im.meta.Secret, key: im.meta.key(),
		deposed: func(error) {}, space: space, counts: new(counts), log: cfg.Logger,
	})
	im.records = r
	if err := r.checkNew(ctx); err != nil {
		return err
	}
	own := r.keys.own()
	absent := []clientv3.Cmp{
		clientv3.Compare(clientv3.CreateRevision(own), "=", 0), clientv3.Compare(clientv3.CreateRevision(r.keys.meta()), "=", 0),
	}
	answer, err := r.read(ctx, clientv3.OpTxn(absent, []clientv3.Op{clientv3.OpPut(own, r.value)}, []clientv3.Op{clientv3.OpGet(own)}))
	if err != nil {
		return err
	}
	if answer.Txn().Succeeded {
		r.created = answer.Txn().Header.Revision
		return nil
	}
	kept := rangeOf(answer.Txn(), 0).Kvs
	if valueOf(kept) != r.value { // else an earlier try of this very import
		return fmt.Errorf("%w: a node has just been started", ErrNotEmpty)
	}
	r.created = kept[0].CreateRevision
	return nil
}

// checkNew checks that the prefix is below no other table's, and that nothing is below it.
func (r *records) checkNew(ctx context.Context) error {
	if err := r.checkAround(ctx); err != nil {
		return err
	}
	found, err := r.get(ctx, r.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1))
	if err != nil || found.Count == 0 {
		return err
	}
	own, err := r.get(ctx, r.keys.own())
	if err != nil {
		return err
	}
	if o, v := ownerOf(own.Kvs); o.Node == CopyingNode {
		return halfCopied(r.prefix, v)
	}
	return fmt.Errorf("%w: %s is there", ErrNotEmpty, found.Kvs[0].Key)
}

func (r *records) checkAround(ctx context.Context) error {
	for around := range prefixesAround(r.prefix) {
		k := keys{around}
		answer, err := r.read(ctx, clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(k.meta()), clientv3.OpGet(k.own())}, nil))
		if errors.Is(err, rpctypes.ErrPermissionDenied) {
			continue // this user may see no more than the prefix
		}
		if err != nil {
			return err
		}
		_, noTable := parseMeta(k.meta(), []byte(valueOf(rangeOf(answer.Txn(), 0).Kvs)))
		if o, _ := ownerOf(rangeOf(answer.Txn(), 1).Kvs); noTable == nil || errors.Is(noTable, ErrNewer) || o.Node == CopyingNode {
			return fmt.Errorf("%w, which is below %s", ErrWithin, around)
		}
	}
	return nil
}

// prefixesAround returns all prefixes of tables in which a prefix lies.
func prefixesAround(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(prefix) - 1 {
			if prefix[i] == '/' && !yield(prefix[:i+1]) {
				return
			}
		}
	}
}

// Room returns the bytes that the audit log of a table in this etcd may have: a quarter of the
// quota.
func (im *Import) Room() int64 { return im.room }

// Begin says up to where the journal was pruned.
func (im *Import) Begin(_ context.Context, cut lock.Head) error {
	im.head.Head = cut
	if cut == (lock.Head{}) {
		return nil
	}
	im.put(im.records.keys.cut(), im.records.sums.cutValue(cut))
	return nil
}

// Add adds the next segment.
func (im *Import) Add(ctx context.Context, g lock.Segment) error {
	s := segment{Segment: g, prev: im.head.Seq, offset: im.head.total}
	key, value := im.records.keys.segment(g.First), im.records.sums.segmentValue(&s)
	if len(value) > mostBytes {
		return fmt.Errorf("the segment of events %d to %d has %d bytes, more than etcd takes", g.First, g.Last, len(value))
	}
	im.head.Head, im.head.first, im.head.total = lock.Head{Seq: g.Last}, g.First, s.offset+int64(len(value))
	return im.add(ctx, key, value)
}

// add puts a key with one of the next transactions.
func (im *Import) add(ctx context.Context, key, value string) error {
	if len(im.ops) >= importOps || im.bytes > 0 && im.bytes+len(key)+len(value) > importBytes {
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	im.put(key, value)
	return nil
}

func (im *Import) put(key, value string) {
	im.ops, im.bytes = append(im.ops, clientv3.OpPut(key, value)), im.bytes+len(key)+len(value)
}

var errNotOursAnyMore = errors.New("its key was deleted: another program has written to etcd meanwhile")

// flush writes what was added. It may be sent twice: the values are the same.
func (im *Import) flush(ctx context.Context) error {
	if len(im.ops) == 0 {
		return nil
	}
	answer, err := im.records.read(ctx, clientv3.OpTxn(im.records.guard(), im.ops, nil))
	if err == nil && !answer.Txn().Succeeded {
		err = errNotOursAnyMore
	}
	im.ops, im.bytes = im.ops[:0], 0
	return err
}

// Finish writes everything but the segments, and lets nodes serve the table.
func (im *Import) Finish(ctx context.Context) error {
	if err := im.finish(ctx); err != nil {
		return fmt.Errorf("write a table below %s: %w", im.records.prefix, err)
	}
	im.done = true
	return nil
}

func (im *Import) finish(ctx context.Context) error {
	if err := im.addRest(ctx); err != nil {
		return err
	}
	if err := im.flush(ctx); err != nil {
		return err
	}
	k := im.records.keys
	done := []clientv3.Op{clientv3.OpPut(k.meta(), im.meta.text()), clientv3.OpDelete(k.own())}
	if im.table.Head != (lock.Head{}) {
		im.head.Head, im.head.term = im.table.Head, im.records.created
		done = append(done, clientv3.OpPut(k.head(), im.records.sums.headValue(&im.head)))
	}
	guard := append(im.records.guard(), clientv3.Compare(clientv3.CreateRevision(k.meta()), "=", 0))
	answer, err := im.records.read(ctx, clientv3.OpTxn(guard, done, []clientv3.Op{clientv3.OpGet(k.meta())}))
	if err != nil {
		return err
	}
	if !answer.Txn().Succeeded && valueOf(rangeOf(answer.Txn(), 0).Kvs) != im.meta.text() {
		return fmt.Errorf("%w, a node that was started perhaps", errNotOursAnyMore)
	}
	return nil
}

func (im *Import) addRest(ctx context.Context) error {
	k, sums := im.records.keys, im.records.sums
	for i := range im.table.Leases {
		l := &im.table.Leases[i]
		held := l.Lease
		held.ExpiresAt = time.Now().Add(l.Remaining)
		row := lock.Row{Name: held.Name, Lease: &held, Attempt: l.Attempt}
		if err := im.add(ctx, k.lease(held.Name), sums.leaseValue(&row)); err != nil {
			return err
		}
	}
	for i := range im.table.Tokens {
		t := &im.table.Tokens[i]
		if err := errors.Join(im.add(ctx, k.token(t.ID), sums.tokenValue(t)), im.add(ctx, k.tokenHash(t.Hash), t.ID)); err != nil {
			return err
		}
		if t.Used.IsZero() {
			continue
		}
		if err := im.add(ctx, k.tokenUse(t.ID), sums.useValue(t.ID, t.Used)); err != nil {
			return err
		}
	}
	for i := range im.table.Cursors {
		c := &im.table.Cursors[i]
		if err := im.add(ctx, k.observer(c.Observer), sums.cursorValue(c)); err != nil {
			return err
		}
	}
	return nil
}

const abortTime = 10 * time.Second

// Abort removes what there is of a table that is not whole, and disconnects.
func (im *Import) Abort() error {
	if im.done {
		im.records.end()
		return im.client.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), abortTime)
	defer cancel()
	k := im.records.keys
	var gone []clientv3.Op
	for _, part := range []string{k.table(), k.tokens(), k.prefix + "th/", k.tokenUses()} {
		gone = append(gone, clientv3.OpDelete(part, clientv3.WithPrefix()))
	}
	_, err := im.records.read(ctx, clientv3.OpTxn(im.records.guard(), gone, nil))
	if err != nil {
		err = fmt.Errorf("what was written below %s is still there; delete it with etcdctl del --prefix: %w", k.prefix, err)
	}
	im.records.end()
	return errors.Join(err, im.client.Close())
}

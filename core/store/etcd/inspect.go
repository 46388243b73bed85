package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/etcd/internal/dial"
)

// Reasons not to read a table.
var (
	// ErrEmpty says that there is no table below the prefix.
	ErrEmpty = errors.New("there is no table")
	// ErrServed says that a node serves the table, or did meanwhile.
	ErrServed = errors.New("a node serves the table")
)

// pinned reads all keys as of one revision.
type pinned struct {
	clientv3.KV
	rev int64
}

// Do sends an operation, and reads as of the revision.
func (p pinned) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if op.IsGet() {
		clientv3.WithRev(p.rev)(&op)
	}
	return p.KV.Do(ctx, op)
}

// snapshot is a table as of one revision of etcd.
type snapshot struct {
	client  *clientv3.Client
	records *records
	head    []*mvccpb.KeyValue
	own     []*mvccpb.KeyValue
}

// openSnapshot connects to etcd, and begins to read the table that is there now.
func openSnapshot(ctx context.Context, cfg Config) (*snapshot, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := dial.Open(ctx, cfg.dial())
	if err != nil {
		return nil, err
	}
	s := &snapshot{client: client}
	if err := s.begin(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("read the table below %s: %w", cfg.Prefix, err), client.Close())
	}
	return s, nil
}

func (s *snapshot) begin(ctx context.Context, cfg Config) error {
	k := keys{cfg.Prefix}
	r := newRecords(hold{kv: s.client, prefix: cfg.Prefix, space: newSpace(s.client, cfg.Logger), counts: new(counts), log: cfg.Logger})
	look := []clientv3.Op{clientv3.OpGet(k.meta()), clientv3.OpGet(k.own()), clientv3.OpGet(k.head())}
	answer, err := r.read(ctx, clientv3.OpTxn(nil, look, nil))
	r.end()
	if err != nil {
		return err
	}
	found := rangeOf(answer.Txn(), 0).Kvs
	if len(found) == 0 {
		return ErrEmpty
	}
	m, err := parseMeta(k.meta(), found[0].Value)
	if err != nil {
		return err
	}
	s.own, s.head = rangeOf(answer.Txn(), 1).Kvs, rangeOf(answer.Txn(), 2).Kvs
	s.records = newRecords(hold{
		kv: pinned{s.client, answer.Txn().Header.Revision}, prefix: cfg.Prefix, secret: m.Secret, key: m.key(),
		space: r.space, counts: r.counts, log: cfg.Logger,
	})
	return nil
}

func (s *snapshot) close() error {
	s.records.end()
	return s.client.Close()
}

// table reads everything but the segments.
func (s *snapshot) table(ctx context.Context) (t content.Table, err error) {
	r := s.records
	rev := r.kv.(pinned).rev
	head, _, err := r.loadHead(ctx, s.head, rev)
	if err != nil {
		return t, err
	}
	r.newest.Store(uint64(head.Seq))
	r.loaded.Store(true)
	t.Head, t.Secret, t.Key = head.Head, r.secret, r.hold.key
	if t.Leases, err = r.loadLeases(ctx, rev); err != nil {
		return t, err
	}
	if t.Cut, err = r.readCut(ctx); err != nil {
		return t, err
	}
	if t.Tokens, err = r.Tokens(ctx); err != nil {
		return t, err
	}
	if t.Cursors, err = r.ObserverCursors(ctx); err != nil {
		return t, err
	}
	oldest, _, err := r.scan(ctx, t.Cut.Seq+1, head.Seq, 1)
	if err == nil && len(oldest) > 0 {
		t.Bytes = head.total - oldest[0].offset
	}
	return t, err
}

// each calls f with all segments after an event.
func (s *snapshot) each(ctx context.Context, after lock.Seq, f func(lock.Segment) error) error {
	const events = 4096
	for {
		found, err := s.records.segmentsAfter(ctx, after, events)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, g := range found {
			if err := f(g); err != nil {
				return err
			}
			after = g.Last
		}
	}
}

// Snapshot reads a whole table as of one revision, whether a node serves it or not; see
// [content.Reader]. Errors: [ErrEmpty], [ErrDamaged], those of [Open], and those of etcd, which
// may compact the revision away meanwhile.
func Snapshot(ctx context.Context, cfg Config, begin func(content.Table) (each func(lock.Segment) error, err error)) error {
	return readWith(ctx, cfg, func(s *snapshot) error { return s.whole(ctx, begin) })
}

// Read is [Snapshot] for a table that no node serves, nor has served meanwhile: else its error
// is [ErrServed].
func Read(ctx context.Context, cfg Config, begin func(content.Table) (each func(lock.Segment) error, err error)) error {
	return readWith(ctx, cfg, func(s *snapshot) error {
		if owner, _ := ownerOf(s.own); len(s.own) > 0 {
			return fmt.Errorf("%w: node %q, at %s", ErrServed, owner.Node, owner.URL)
		}
		if err := s.whole(ctx, begin); err != nil {
			return err
		}
		return s.unchanged(ctx)
	})
}

func readWith(ctx context.Context, cfg Config, do func(*snapshot) error) error {
	s, err := openSnapshot(ctx, cfg)
	if err != nil {
		return err
	}
	if err := do(s); err != nil {
		return errors.Join(fmt.Errorf("read the table below %s: %w", s.records.prefix, err), s.close())
	}
	return s.close()
}

func (s *snapshot) whole(ctx context.Context, begin func(content.Table) (func(lock.Segment) error, error)) error {
	t, err := s.table(ctx)
	if err != nil {
		return err
	}
	each, err := begin(t)
	if err != nil || each == nil {
		return err
	}
	return s.each(ctx, t.Cut.Seq, each)
}

// unchanged checks that no node has had the term since the snapshot: the first thing that a
// node does with it is a commit.
func (s *snapshot) unchanged(ctx context.Context) error {
	k := s.records.keys
	look := []clientv3.Op{clientv3.OpGet(k.own()), clientv3.OpGet(k.head())}
	answer, err := s.records.read(ctx, clientv3.OpTxn(nil, look, nil)) // not pinned
	if err != nil {
		return err
	}
	now := answer.Txn()
	if len(rangeOf(now, 0).Kvs) > 0 || revisionOf(rangeOf(now, 1).Kvs) != revisionOf(s.head) {
		return fmt.Errorf("%w, since the copy began", ErrServed)
	}
	return nil
}

// Inspect reads a table as of one revision, whether a node serves it or not. It calls each, if
// not nil, with all segments after the given event, in order. Errors: those of [Snapshot], and
// of each.
func Inspect(ctx context.Context, cfg Config, after lock.Seq, each func(lock.Segment) error) (in content.Inspection, err error) {
	err = readWith(ctx, cfg, func(s *snapshot) error {
		t, err := s.table(ctx)
		if err != nil {
			return err
		}
		in = t.Inspection()
		if each == nil {
			return nil
		}
		return s.each(ctx, max(after, t.Cut.Seq), each)
	})
	return in, err
}

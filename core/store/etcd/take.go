package etcd

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

const (
	// rankStep is how much later each next node tries to take a free term.
	rankStep = 30 * time.Millisecond
	// yieldTime is how much later a node tries that has just handed over, or lost a term. It
	// is short enough to serve again if no other node does.
	yieldTime = time.Second
	// takePause is the time between two tries of which the first has failed.
	takePause = 200 * time.Millisecond
)

// Take waits until no node has the term, and takes it. It tries until ctx or the cluster ends.
// At most one Store of a cluster is open at a time.
func (c *Cluster) Take(ctx context.Context) (*Store, error) {
	ctx, cancel := c.alive(ctx)
	defer cancel()
	for {
		if err := c.awaitFree(ctx); err != nil {
			return nil, c.takeError(err)
		}
		s, err := c.attempt(ctx)
		if s != nil {
			return s, nil
		}
		if err == nil {
			continue // another was faster
		}
		if final(err) || ctx.Err() != nil {
			return nil, c.takeError(err)
		}
		c.sparse.Log(slog.LevelWarn, "take", "the term could not be taken; it is tried again", slog.Any("error", err))
		if sleep.For(ctx, takePause) != nil {
			return nil, c.takeError(ctx.Err())
		}
	}
}

func (c *Cluster) takeError(err error) error {
	if c.life.Err() != nil {
		return ErrClosed
	}
	return fmt.Errorf("take the term: %w", err)
}

// awaitFree returns when no node has the term and it is this node's turn to try.
func (c *Cluster) awaitFree(ctx context.Context) error {
	for {
		free, changed := c.view.free()
		if !free {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		wait := time.NewTimer(c.turn(ctx))
		select {
		case <-wait.C:
			return nil
		case <-changed: // another was faster
			wait.Stop()
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// turn returns how long this node waits before it tries to take a free term. The nodes try
// one after the other, so that they do not all ask at once.
func (c *Cluster) turn(ctx context.Context) time.Duration {
	before, yields := c.view.before()
	nodes, err := c.names(ctx)
	rank := slices.Index(nodes, c.cfg.Node)
	if err != nil || rank < 0 {
		return mathrand.N(4 * rankStep)
	}
	if last := slices.Index(nodes, before); last >= 0 && last < rank {
		rank-- // the one that had the term is not the first to have it again
	}
	if before == c.cfg.Node {
		rank = len(nodes) - 1
	}
	wait := time.Duration(rank) * rankStep
	if yields && len(nodes) > 1 {
		wait += yieldTime
	}
	return wait
}

// names returns the names of the nodes that are alive, sorted.
func (c *Cluster) names(ctx context.Context) (names []string, err error) {
	prefix := c.keys.nodes()
	found, err := c.askOnce(ctx, clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly()))
	if err != nil {
		return nil, err
	}
	for _, kv := range found.Get().Kvs {
		names = append(names, string(kv.Key[len(prefix):]))
	}
	return names, nil
}

// ownValue is the value of the key of the term.
type ownValue struct {
	Node    string    `json:"node"`
	URL     string    `json:"url"`
	Since   time.Time `json:"since"`
	Process string    `json:"process"`
	// Random makes the value another one in each history of etcd: revisions are the same again
	// after a restore.
	Random string `json:"random"`
}

// attempt tries to take the term under a lease of its own. Nil and no error: another node has
// taken it.
func (c *Cluster) attempt(ctx context.Context) (*Store, error) {
	l, err := c.grant(ctx)
	if err != nil {
		return nil, err
	}
	c.view.attempt(l.ID())
	text, err := json.Marshal(ownValue{Node: c.cfg.Node, URL: c.cfg.URL, Since: time.Now(), Process: c.process, Random: rand.Text()})
	if err != nil {
		return nil, err
	}
	kv, err := c.putOwn(ctx, l, string(text))
	if err != nil || kv == nil {
		c.view.attempt(clientv3.NoLease)
		c.revokeSoon(l) // a put that arrives later is refused, or deleted with the lease
		return nil, err
	}
	return c.serve(l, kv), nil
}

// putOwn creates the key of the term, or returns nil if it is another's. What became of a
// request without an answer is told by the lease of the key that is found then.
func (c *Cluster) putOwn(ctx context.Context, l *lease.Lease, value string) (*mvccpb.KeyValue, error) {
	key := c.keys.own()
	absent := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	put := clientv3.OpPut(key, value, clientv3.WithLease(l.ID()))
	op := clientv3.OpTxn([]clientv3.Cmp{absent}, []clientv3.Op{put}, []clientv3.Op{clientv3.OpGet(key)})
	var p pauses
	for {
		answer, err := c.askOnce(ctx, op)
		switch {
		case err == nil && answer.Txn().Succeeded:
			rev := answer.Txn().Header.Revision
			return &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), CreateRevision: rev, ModRevision: rev, Lease: int64(l.ID())}, nil
		case err == nil:
			c.sawOwn(rangeOf(answer.Txn(), 0).Kvs, answer.Txn().Header.Revision)
			return ownUnder(l, rangeOf(answer.Txn(), 0).Kvs), nil
		case final(err), errors.Is(err, rpctypes.ErrLeaseNotFound):
			return nil, err
		case !l.Valid():
			return nil, l.Cause()
		case p.wait(ctx) != nil:
			return nil, err
		}
	}
}

// ownUnder returns the key of the term if it is under this lease, else nil.
func ownUnder(l *lease.Lease, found []*mvccpb.KeyValue) *mvccpb.KeyValue {
	if len(found) == 0 || found[0].Lease != int64(l.ID()) {
		return nil
	}
	return found[0]
}

// serve returns the table of a term that was taken.
func (c *Cluster) serve(l *lease.Lease, own *mvccpb.KeyValue) *Store {
	s := &Store{cluster: c, lease: l, term: own.CreateRevision, value: string(own.Value)}
	s.records = newRecords(hold{
		kv: c.kv, prefix: c.cfg.Prefix, created: s.term, value: s.value, secret: c.meta.Secret, key: c.meta.key(),
		deposed: l.End, space: c.space, counts: &c.counts, log: c.log,
	})
	c.sawOwn([]*mvccpb.KeyValue{own}, own.CreateRevision)
	c.view.serve(s)
	c.work.Go(func() {
		ctx, cancel := c.alive(s.life)
		defer cancel()
		s.keepAgingPast(ctx, cmp.Or(c.cfg.agePast, pastEvery))
	})
	return s
}

package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

// Owner is the node that serves. The zero Owner means that none does.
type Owner struct {
	Node string
	URL  string // where the other nodes reach it
	// Term grows with every take: the revision at which etcd made its key.
	Term int64
	// Since is when the node took the term, on its own clock.
	Since time.Time
}

// view is what is known of the key of the term.
type view struct {
	mu      sync.Mutex
	at      int64 // etcd's revision at which it was so; 0: not known yet
	owner   Owner
	value   string
	last    string        // name of the newest owner, also when there is none now
	changed chan struct{} // closed at the next change
	trying  clientv3.LeaseID
	serving *Store        // of this node; nil: it does not serve
	yields  time.Duration // until when another node should rather have the term
}

func newView() view { return view{changed: make(chan struct{})} }

// Owner returns the node that serves as last seen, and a channel that is closed at the next
// change. Quick.
func (c *Cluster) Owner() (Owner, <-chan struct{}) {
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	return c.view.owner, c.view.changed
}

// free reports whether no node has the term. Before anything is known of it, it is not free.
func (v *view) free() (bool, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at > 0 && v.value == "", v.changed
}

// before returns the node that had the term last, and whether this node should rather leave it
// to others.
func (v *view) before() (node string, yields bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, lease.Now() < v.yields
}

// attempt notes the lease under which this node tries to take the term.
func (v *view) attempt(id clientv3.LeaseID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trying = id
}

// serve notes that this node serves.
func (v *view) serve(s *Store) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.serving, v.trying = s, clientv3.NoLease
	v.checkTerm()
}

// gone notes that a term of this node is over. For a while others should rather have the next.
func (v *view) gone(s *Store, yield time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.serving == s {
		v.serving = nil
		v.yields = lease.Now() + yield
	}
}

var errNotOurs = errors.New("the term is no longer this node's")

// checkTerm ends the term of this node if it is seen to be over.
func (v *view) checkTerm() {
	if s := v.serving; s != nil && v.at >= s.term && (v.owner.Term != s.term || v.value != s.value) {
		s.lease.End(errNotOurs)
	}
}

// sawOwn notes what the key of the term was at a revision, unless something newer is known.
func (c *Cluster) sawOwn(found []*mvccpb.KeyValue, at int64) {
	owner, v := ownerOf(found)
	if len(found) > 0 && owner.Node == "" {
		c.sparse.Log(slog.LevelError, "own", "the key of the term is not what OctoStore has written", slog.String("key", c.keys.own()))
	}
	if owner.Node == CopyingNode && c.waits.CompareAndSwap(false, true) {
		c.log.Error("this node waits for a table that is not whole", "error", halfCopied(c.cfg.Prefix, v))
	}
	if stray := c.view.see(owner, valueOf(found), at); stray && v.Process == c.process {
		c.revokeStray(clientv3.LeaseID(found[0].Lease))
	}
}

// ownerOf returns what the key of the term says, without names if OctoStore has not written it.
func ownerOf(found []*mvccpb.KeyValue) (Owner, ownValue) {
	var v ownValue
	if len(found) == 0 || json.Unmarshal(found[0].Value, &v) != nil {
		return Owner{}, ownValue{}
	}
	return Owner{Node: v.Node, URL: v.URL, Term: found[0].CreateRevision, Since: v.Since}, v
}

// see reports whether the key is one that this node neither serves under nor has just tried to
// make.
func (v *view) see(owner Owner, value string, at int64) (stray bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if at < v.at {
		return false
	}
	known := v.at > 0
	v.at = at
	if !known || v.value != value || v.owner.Term != owner.Term {
		v.owner, v.value = owner, value
		if owner.Node != "" {
			v.last = owner.Node
			v.yields = 0 // this term was the one to leave to others
		}
		close(v.changed)
		v.changed = make(chan struct{})
	}
	v.checkTerm()
	return value != "" && v.trying == clientv3.NoLease && (v.serving == nil || v.serving.value != value)
}

// revokeStray ends a term that this process has without serving: a request to take it arrived
// after the process had given it up.
func (c *Cluster) revokeStray(id clientv3.LeaseID) {
	c.sparse.Log(slog.LevelWarn, "stray", "this node was given a term that it had given up; it revokes it")
	c.work.Go(func() {
		ctx, cancel := context.WithTimeout(c.life, c.namesakeTime())
		defer cancel()
		if err := lease.Revoke(ctx, c.client, id); err != nil {
			c.log.Debug("a term was left to end by itself", "error", err)
		}
	})
}

// watchPause is the time between the end of a watch and the next.
const watchPause = 100 * time.Millisecond

// watchOwn follows the key of the term until ctx ends.
func (c *Cluster) watchOwn(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.followOwn(ctx); err != nil && ctx.Err() == nil {
			c.sparse.Log(slog.LevelWarn, "watch", "the watch of who serves has ended; it begins again", slog.Any("error", err))
		}
		_ = sleep.For(ctx, watchPause) // the loop looks at ctx
	}
}

// followOwn reads the key of the term and follows its changes until the watch ends.
func (c *Cluster) followOwn(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	at, err := c.readOwn(ctx)
	if err != nil {
		return err
	}
	for answer := range c.client.Watch(ctx, c.keys.own(), clientv3.WithRev(at+1)) {
		if err := answer.Err(); err != nil {
			return err
		}
		for _, e := range answer.Events {
			if e.Type == clientv3.EventTypeDelete {
				c.sawOwn(nil, e.Kv.ModRevision)
				continue
			}
			c.sawOwn([]*mvccpb.KeyValue{e.Kv}, e.Kv.ModRevision)
		}
	}
	return ctx.Err()
}

func (c *Cluster) readOwn(ctx context.Context) (at int64, err error) {
	answer, err := c.askOnce(ctx, clientv3.OpGet(c.keys.own()))
	if err != nil {
		return 0, err
	}
	c.sawOwn(answer.Get().Kvs, answer.Get().Header.Revision)
	return answer.Get().Header.Revision, nil
}

// pollOwn reads the key of the term now and then: a watch at a member that is paused or cut
// off says nothing.
func (c *Cluster) pollOwn(ctx context.Context) {
	for sleep.For(ctx, c.cfg.Lease/5) == nil {
		_, _ = c.readOwn(ctx) // it is tried again soon, and the watch logs what is wrong
	}
}

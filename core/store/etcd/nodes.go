package etcd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

// Node is a node that is alive: etcd has heard of it within the time of its lease.
type Node struct {
	Name     string
	URL      string
	Version  string
	Policies string // digest
	// Since is when it joined, on its own clock.
	Since time.Time
}

// NodeTakenError says that another living node has this node's name.
type NodeTakenError struct {
	Node string
	URL  string // of the other one
}

// Error names the node and where the other one is.
func (e *NodeTakenError) Error() string {
	return fmt.Sprintf("another node, at %s, has the name %q", e.URL, e.Node)
}

// nodeValue is the value of a node's key.
type nodeValue struct {
	URL      string    `json:"url"`
	Version  string    `json:"version"`
	Policies string    `json:"policies"`
	Since    time.Time `json:"since"`
	Process  string    `json:"process"` // tells nodes with one name apart
}

// member is this node among those that are alive.
type member struct {
	mu       sync.Mutex
	joined   bool
	since    time.Time
	policies string
	lease    *lease.Lease // nil: none
}

// namesakeTime is how long Join waits for a lease of another to end. etcd ends leases late.
func (c *Cluster) namesakeTime() time.Duration {
	return c.cfg.Lease + max(time.Second, 3*c.cfg.Lease/10)
}

// Join puts this node among those that are alive, until Close. If another node has its name,
// Join waits until its lease must have ended, and then returns a [*NodeTakenError].
func (c *Cluster) Join(ctx context.Context) error {
	ctx, cancel := c.alive(ctx)
	defer cancel()
	if !c.member.begin() {
		return nil
	}
	l, err := c.join(ctx)
	if err != nil {
		c.member.fail()
		return fmt.Errorf("join as node %q: %w", c.cfg.Node, err)
	}
	c.work.Go(func() { c.stay(c.life, l) })
	return nil
}

// begin reports whether the caller is to join: nothing else has.
func (m *member) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.joined {
		return false
	}
	m.joined, m.since = true, time.Now()
	return true
}

func (m *member) fail() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joined = false
}

func (m *member) leased() *lease.Lease {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease
}

// join tries until it has written the key of this node. It gives up if the key is another's
// for longer than a lease lasts.
func (c *Cluster) join(ctx context.Context) (*lease.Lease, error) {
	until := lease.Now() + c.namesakeTime()
	for {
		l, err := c.joinOnce(ctx)
		if err == nil {
			return l, nil
		}
		if taken := new(NodeTakenError); errors.As(err, &taken) && lease.Now() > until {
			return nil, err
		}
		if sleep.For(ctx, c.cfg.Lease/20) != nil {
			return nil, err
		}
	}
}

// joinOnce writes the key of this node under a lease of its own, unless a node of this name is
// there.
func (c *Cluster) joinOnce(ctx context.Context) (*lease.Lease, error) {
	key := c.keys.node(c.cfg.Node)
	found, err := c.askOnce(ctx, clientv3.OpGet(key))
	if err != nil {
		return nil, err
	}
	if found.Get().Count > 0 {
		return nil, c.namesake(found.Get().Kvs)
	}
	l, err := c.grant(ctx)
	if err != nil {
		return nil, err
	}
	value := c.nodeValue()
	absent := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	put := clientv3.OpPut(key, value, clientv3.WithLease(l.ID()))
	answer, err := c.askOnce(ctx, clientv3.OpTxn([]clientv3.Cmp{absent}, []clientv3.Op{put}, []clientv3.Op{clientv3.OpGet(key)}))
	if err != nil || !answer.Txn().Succeeded {
		c.revokeSoon(l) // and with it the key, if the put was applied all the same
		return nil, cmp.Or(err, error(c.namesake(nil)))
	}
	if err := c.entered(ctx, l, value); err != nil {
		c.revokeSoon(l)
		return nil, err
	}
	return l, nil
}

// entered notes the lease under which the node's key was written.
func (c *Cluster) entered(ctx context.Context, l *lease.Lease, value string) error {
	c.member.mu.Lock()
	c.member.lease = l
	c.member.mu.Unlock()
	if now := c.nodeValue(); now != value { // the policies have changed meanwhile
		return c.putNode(ctx, l, now)
	}
	return nil
}

// putNode replaces the value of the node's key, if it is under this lease.
func (c *Cluster) putNode(ctx context.Context, l *lease.Lease, value string) error {
	key := c.keys.node(c.cfg.Node)
	ours := clientv3.Compare(clientv3.LeaseValue(key), "=", l.ID())
	put := clientv3.OpPut(key, value, clientv3.WithLease(l.ID()))
	_, err := c.ask(ctx, clientv3.OpTxn([]clientv3.Cmp{ours}, []clientv3.Op{put}, nil))
	return err
}

// namesake returns the error about the node that has this node's name.
func (c *Cluster) namesake(found []*mvccpb.KeyValue) *NodeTakenError {
	var v nodeValue
	_ = json.Unmarshal([]byte(valueOf(found)), &v) // then the error names no URL
	return &NodeTakenError{Node: c.cfg.Node, URL: v.URL}
}

func (c *Cluster) nodeValue() string {
	c.member.mu.Lock()
	defer c.member.mu.Unlock()
	text, err := json.Marshal(nodeValue{
		URL: c.cfg.URL, Version: c.cfg.Version, Policies: c.member.policies, Since: c.member.since, Process: c.process,
	})
	if err != nil {
		panic(err) // of strings and a time
	}
	return string(text)
}

// stay joins again whenever etcd has lost the node's lease.
func (c *Cluster) stay(ctx context.Context, l *lease.Lease) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-l.Lost():
		}
		c.log.Warn("etcd has not heard of this node in time; it joins again", "error", l.Cause())
		c.revokeSoon(l)
		l = c.rejoin(ctx, l)
	}
}

// rejoin tries until it succeeds, also where another node has the name meanwhile.
func (c *Cluster) rejoin(ctx context.Context, before *lease.Lease) *lease.Lease {
	for ctx.Err() == nil {
		l, err := c.join(ctx)
		if err == nil {
			c.log.Info("the node has joined again")
			return l
		}
		if ctx.Err() == nil {
			c.sparse.Log(slog.LevelError, "rejoin", "the other nodes do not see this one", slog.Any("error", err))
		}
	}
	return before
}

// leave makes the node vanish, as far as etcd can be reached now.
func (c *Cluster) leave() {
	l := c.member.leased()
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := l.Revoke(ctx, ErrClosed); err != nil {
		c.log.Warn("the other nodes see this node until its lease ends", "error", err)
	}
}

// SetPolicies tells the other nodes the digest of this node's policies. After an error they
// learn it when the node joins again at the latest.
func (c *Cluster) SetPolicies(ctx context.Context, digest string) error {
	ctx, cancel := c.alive(ctx)
	defer cancel()
	c.member.mu.Lock()
	c.member.policies = digest
	l := c.member.lease
	c.member.mu.Unlock()
	if l == nil {
		return nil
	}
	if err := c.putNode(ctx, l, c.nodeValue()); err != nil {
		return fmt.Errorf("tell the other nodes the policies: %w", err)
	}
	return nil
}

// Nodes returns all nodes that are alive, by name.
func (c *Cluster) Nodes(ctx context.Context) ([]Node, error) {
	ctx, cancel := c.alive(ctx)
	defer cancel()
	answer, err := c.ask(ctx, clientv3.OpGet(c.keys.nodes(), clientv3.WithPrefix()))
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	return c.keys.nodesOf(answer.Get().Kvs)
}

// nodesOf returns the nodes that keys are of.
func (k keys) nodesOf(found []*mvccpb.KeyValue) (all []Node, err error) {
	for _, kv := range found {
		var v nodeValue
		if err := json.Unmarshal(kv.Value, &v); err != nil {
			return nil, errors.Join(fmt.Errorf("%s is not what OctoStore has written", kv.Key), err)
		}
		name := string(bytes.TrimPrefix(kv.Key, []byte(k.nodes())))
		all = append(all, Node{Name: name, URL: v.URL, Version: v.Version, Policies: v.Policies, Since: v.Since})
	}
	return all, nil
}

// grant asks etcd for a lease.
func (c *Cluster) grant(ctx context.Context) (*lease.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return lease.Grant(ctx, c.client, c.cfg.Lease)
}

// revokeSoon ends a lease at once for this process, and as soon as possible at etcd. Close waits
// for that a moment.
func (c *Cluster) revokeSoon(l *lease.Lease) {
	l.End(errGivenUp)
	c.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.namesakeTime()) // then it has ended by itself
		defer cancel()
		defer context.AfterFunc(c.life, func() { time.AfterFunc(graceTime, cancel) })()
		if err := l.Revoke(ctx, errGivenUp); err != nil {
			c.log.Debug("a lease was left to end by itself", "error", err)
		}
	})
}

var errGivenUp = errors.New("given up by this node")

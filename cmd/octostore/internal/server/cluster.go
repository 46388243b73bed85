package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/standby"
)

// cluster is what a process has in common with others, of which one at a time serves the lock table.
type cluster interface {
	company
	// Owner returns the node that serves as last seen, and a channel that is closed at the next change.
	Owner() (etcd.Owner, <-chan struct{})
	// Take waits until no node has the term, and takes it.
	Take(ctx context.Context) (claim, error)
	ForwardKey() []byte
	Close() error
}

// company is what the nodes of a cluster know of each other.
type company interface {
	// Nodes returns all nodes that are alive.
	Nodes(ctx context.Context) ([]etcd.Node, error)
	// SetPolicies tells the other nodes the digest of the policies of this one.
	SetPolicies(ctx context.Context, digest string) error
	Stats() etcd.Stats
}

// claim is a storage for as long as a term lasts.
type claim interface {
	storage
	Term() int64
	// Owns reports whether the term certainly lasts.
	Owns() bool
	// ValidFor returns how long Owns stays true unless the term is extended.
	ValidFor() time.Duration
	// Lost is closed when the term is over, or may be.
	Lost() <-chan struct{}
	// HandOver ends the term. The lock table has to be closed.
	HandOver(ctx context.Context) error
}

// openCluster joins the cluster of the settings, with the digest of the policies of this node.
type openCluster func(ctx context.Context, cfg config.Config, policies string, log *slog.Logger) (cluster, error)

// node is the part of a process in a cluster.
type node struct {
	cluster
	name        string
	log         *slog.Logger
	failures    int                    // to open a term, in a row
	digest      atomic.Pointer[string] // of the policies loaded here
	differs     atomic.Bool            // from those of the node that serves
	forwarder   *forward.Forwarder
	turned      atomic.Pointer[chan struct{}] // closed when this process begins to serve
	ended       atomic.Pointer[time.Time]     // when the last term of this process had ended; nil: it had none
	main, admin http.Handler                  // answer requests while another node serves

	mu    sync.Mutex
	takes []time.Time // when the last terms began
}

// target returns the URL and the term of the node that serves, if that is another one.
func (n *node) target() (at *url.URL, term int64, changed <-chan struct{}, there bool) {
	o, changed := n.Owner()
	if o.Term == 0 || o.Node == n.name || o.URL == "" { // without a URL it is a command, for a moment
		return nil, 0, changed, false
	}
	at, err := url.Parse(o.URL)
	if err != nil {
		return nil, 0, changed, false // the node that wrote it has checked it
	}
	return at, o.Term, changed, true
}

// serves returns the term of the other node that serves.
func (n *node) serves() (term int64, there bool) {
	_, term, _, there = n.target()
	return term, there
}

// opens reports whether the term is this node's.
func (n *node) opens() bool {
	o, _ := n.Owner()
	return o.Term != 0 && o.Node == n.name
}

// forwardTo is target for the forwarder.
func (n *node) forwardTo() (forward.Target, bool) {
	at, term, changed, there := n.target()
	return forward.Target{URL: at, Term: term, Changed: changed}, there
}

// await waits until another node serves, or this one, or ctx ends. It returns the term if this node
// serves.
func (s *server) await(ctx context.Context) *term {
	for {
		turned := *s.node.turned.Load()
		if t := s.serving(); t != nil {
			return t
		}
		_, _, changed, there := s.node.target()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-turned:
		case <-ctx.Done():
			return nil
		}
	}
}

// awaitAPI is await for requests to a listener.
func (s *server) awaitAPI(ctx context.Context, on standby.Listener) http.Handler {
	t := s.await(ctx)
	switch {
	case t == nil:
		return nil
	case on == standby.Admin:
		return t.api.AdminHandler()
	}
	return t.api
}

// endTerm remembers that a term of this process has ended.
func (n *node) endTerm() {
	now := time.Now()
	n.ended.Store(&now)
}

// servedLately reports whether this process served so lately that requests of other nodes may be on their
// way to it.
func (n *node) servedLately() bool {
	at := n.ended.Load()
	return at != nil && time.Since(*at) < answerTime
}

// turn has await look again.
func (n *node) turn() {
	next := make(chan struct{})
	if last := n.turned.Swap(&next); last != nil {
		close(*last)
	}
}

// joinCluster makes the process a node, which forwards until it has a term.
func (s *server) joinCluster(ctx context.Context, open openCluster) error {
	digest := s.policies.digest()
	joined, err := open(ctx, s.cfg, digest, s.log)
	if err != nil {
		return err
	}
	n := &node{cluster: joined, name: string(s.cfg.Node), log: s.log}
	between := preflight.NodeTLS(s.cfg)
	n.forwarder = forward.New(forward.Config{
		Key: joined.ForwardKey(), Target: n.forwardTo, TLS: between, Client: s.door.Client,
		Admit: s.door.Admit, Admitted: s.door.Admitted, Logger: s.log,
	})
	by := standby.New(standby.Config{
		Forward: n.forwarder, Serving: n.serves, Opening: n.opens, Await: s.awaitAPI, Reach: n.forwarder.Reach,
		Metrics: s.door.Metrics(),
	})
	ready, metrics := listenersOf[s.cfg.ReadyOn], listenersOf[s.cfg.MetricsOn]
	n.main = by.Listener(standby.Main, ready != transport.AdminOnly, metrics != transport.AdminOnly)
	n.admin = by.Listener(standby.Admin, ready != transport.MainOnly, metrics != transport.MainOnly)
	n.digest.Store(&digest)
	n.turn()
	s.node = n
	if s.policies != nil {
		s.policies.tell = n.tellPolicies
	}
	s.forward()
	return nil
}

// tellPolicies tells the other nodes which policies are loaded here.
func (n *node) tellPolicies(digest string) {
	n.digest.Store(&digest)
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err := n.SetPolicies(ctx, digest); err != nil {
		n.log.Warn("the other nodes do not know which policies are loaded here", "err", err)
	}
	n.comparePolicies(ctx)
}

// comparePolicies warns when other policies are loaded here than on the node that serves: a term that
// moves here would change the rules.
func (n *node) comparePolicies(ctx context.Context) {
	o, _ := n.Owner()
	nodes, err := n.Nodes(ctx)
	if err != nil {
		return // the next comparison is soon
	}
	own, differ := *n.digest.Load(), false
	for _, other := range nodes {
		differ = differ || other.Name == o.Node && other.Policies != own
	}
	if n.differs.Swap(differ) == differ {
		return
	}
	if differ {
		n.log.Warn("other policies are loaded here than on the node that serves; if the term moves here, the rules change", "serving", o.Node)
		return
	}
	n.log.Info("the same policies are loaded here as on the node that serves")
}

// follow keeps what is shown of the cluster up to date, until ctx ends. changed is called when
// another node serves, or none.
func (n *node) follow(ctx context.Context, changed func()) {
	again := time.NewTicker(compareEvery)
	defer again.Stop()
	var term int64
	for ctx.Err() == nil {
		o, until := n.Owner()
		if o.Term != term {
			term = o.Term
			n.sawTerm(o)
			changed()
		}
		n.comparePolicies(ctx)
		select {
		case <-until:
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// compareEvery is how often the policies of the nodes are compared while the same node serves.
const compareEvery = 30 * time.Second

// mostTakes bounds how many terms are remembered.
const mostTakes = 100

// sawTerm remembers when a term began, and logs that of another node.
func (n *node) sawTerm(o etcd.Owner) {
	if o.Term == 0 {
		return
	}
	if o.Node != n.name && o.URL != "" { // without a URL it is a command, for a moment
		n.log.Info("another node serves", "serving", o.Node, "url", o.URL, "term", o.Term)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.takes = append(n.takes[max(0, len(n.takes)-mostTakes+1):], o.Since)
}

// clusterView shows the cluster to the API, and in the metrics.
type clusterView struct{ *server }

// Stats implements [transport.Cluster].
func (v clusterView) Stats() transport.ClusterStats {
	o, _ := v.node.Owner()
	sent, kept := v.node.forwarder.Stats(), v.node.cluster.Stats()
	all := transport.ClusterStats{
		Term: o.Term, PoliciesDiffer: v.node.differs.Load(),
		Forwarded: uint64(sent.Forwarded), Forwarding: int(sent.InFlight),
		RoundTrips: kept.RoundTrips, Retries: kept.Retries, UnknownOutcomes: kept.UnknownOutcomes,
		Quota: kept.Quota, Used: kept.Used, Alarm: kept.Alarm,
	}
	if t := v.serving(); t != nil {
		all.Serving, all.ValidFor = true, max(0, t.claim.ValidFor())
	}
	return all
}

// State implements [transport.Cluster].
func (v clusterView) State(ctx context.Context) (transport.ClusterState, error) {
	nodes, err := v.node.Nodes(ctx)
	if err != nil {
		return transport.ClusterState{}, fmt.Errorf("list the nodes: %w", err)
	}
	o, _ := v.node.Owner()
	state := transport.ClusterState{
		Node: v.node.name, Serving: api.Term{Node: o.Node, URL: o.URL, Term: o.Term, Since: o.Since},
	}
	for _, n := range nodes {
		state.Nodes = append(state.Nodes, api.Node{Name: n.Name, URL: n.URL, Version: n.Version, Policies: n.Policies, Since: n.Since})
	}
	v.node.mu.Lock()
	defer v.node.mu.Unlock()
	state.Takes = slices.Clone(v.node.takes)
	return state, nil
}

// HandOver implements [transport.Cluster]. A node that is alone keeps the term.
func (v clusterView) HandOver() {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	t := v.serving()
	if t == nil || !v.node.hasOthers(ctx) {
		v.log.Warn("the term is not handed over, since no other node is known")
		return
	}
	t.yield()
}

// hasOthers reports whether another node is known to be alive.
func (n *node) hasOthers(ctx context.Context) bool {
	nodes, err := n.Nodes(ctx)
	return err == nil && len(nodes) > 1
}

// etcdCluster is a cluster over etcd.
type etcdCluster struct{ *etcd.Cluster }

// Take implements [cluster].
func (c etcdCluster) Take(ctx context.Context) (claim, error) {
	store, err := c.Cluster.Take(ctx)
	if err != nil {
		return nil, err // not a nil *Store in a non-nil claim
	}
	return store, nil
}

// openEtcd joins the cluster over the etcd of the settings.
func openEtcd(ctx context.Context, cfg config.Config, policies string, log *slog.Logger) (cluster, error) {
	at, err := preflight.EtcdConfig(cfg)
	if err != nil {
		return nil, err
	}
	at.Policies, at.Logger = policies, log
	joined, err := etcd.Open(ctx, at)
	if err != nil {
		return nil, err // it names the endpoints
	}
	if err := joined.Join(ctx); err != nil {
		_ = joined.Close() // the first error is the one to return
		return nil, fmt.Errorf("join the cluster: %w", err)
	}
	return etcdCluster{joined}, nil
}

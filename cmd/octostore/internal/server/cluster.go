package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/standby"
)

// cluster is what a process has in common with others, of which one at a time serves the lock table.
type cluster interface {
	// Owner returns the node that serves as last seen, and a channel that is closed at the next change.
	Owner() (etcd.Owner, <-chan struct{})
	// Take waits until no node has the term, and takes it.
	Take(ctx context.Context) (claim, error)
	// SetPolicies tells the other nodes the digest of the policies of this one.
	SetPolicies(ctx context.Context, digest string) error
	ForwardKey() []byte
	Close() error
}

// claim is a storage for as long as a term lasts.
type claim interface {
	storage
	Term() int64
	// Owns reports whether the term certainly lasts.
	Owns() bool
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
	forwarder   http.Handler
	main, admin http.Handler // answer requests while another node serves
}

// target returns the URL and the term of the node that serves, if that is another one.
func (n *node) target() (at *url.URL, term int64, changed <-chan struct{}, there bool) {
	o, changed := n.Owner()
	if o.Term == 0 || o.Node == n.name {
		return nil, 0, changed, false
	}
	at, err := url.Parse(o.URL)
	if err != nil {
		return nil, 0, changed, false // the node that wrote it has checked it
	}
	return at, o.Term, changed, true
}

// serves returns the URL of the other node that serves.
func (n *node) serves() (*url.URL, bool) {
	at, _, _, there := n.target()
	return at, there
}

func (n *node) changed() <-chan struct{} {
	_, changed := n.Owner()
	return changed
}

// joinCluster makes the process a node, which forwards until it has a term.
func (s *server) joinCluster(ctx context.Context, open openCluster) error {
	joined, err := open(ctx, s.cfg, s.policies.digest(), s.log)
	if err != nil {
		return err
	}
	n := &node{cluster: joined, name: string(s.cfg.Node), log: s.log}
	n.forwarder = http.HandlerFunc(transport.Moved)
	by := standby.New(standby.Config{
		Forward: n.forwarder, Serving: n.serves, Changed: n.changed, Client: &http.Client{}, Metrics: s.door.Metrics(),
	})
	ready, metrics := listenersOf[s.cfg.ReadyOn], listenersOf[s.cfg.MetricsOn]
	n.main = by.Listener(ready != transport.AdminOnly, metrics != transport.AdminOnly)
	n.admin = by.Listener(ready != transport.MainOnly, metrics != transport.MainOnly)
	s.node = n
	if s.policies != nil {
		s.policies.tell = n.tellPolicies
	}
	s.forward()
	return nil
}

// tellPolicies tells the other nodes which policies are loaded here.
func (n *node) tellPolicies(digest string) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err := n.SetPolicies(ctx, digest); err != nil {
		n.log.Warn("the other nodes do not know which policies are loaded here", "err", err)
	}
}

func openEtcd(context.Context, config.Config, string, *slog.Logger) (cluster, error) {
	return nil, errors.New("OCTOSTORE_STORE=etcd is not complete yet")
}

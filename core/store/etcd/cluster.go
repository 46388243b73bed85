package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config says where the table is kept, and which node this is.
type Config struct {
	// Endpoints are the URLs of etcd's nodes, at least one.
	Endpoints []string
	// Prefix is what all keys begin with; "" means "/octostore/". A slash is added at its end.
	Prefix string
	// Lease is the time after which etcd takes a node that is silent for dead; 0 means 10 s.
	// Whole seconds, at least 2 s.
	Lease time.Duration
	// TLS is used with endpoints that begin with https; nil means the system's roots.
	TLS *tls.Config
	// User and Password log in to etcd; "" if it needs no login.
	User, Password string
	// Node is the name of this node, unique in its cluster.
	Node string
	// URL is where the other nodes reach this one.
	URL string
	// Version is the program's, as other nodes show it.
	Version string
	// Policies is the digest of the node's policies.
	Policies string
	// Logger gets what an operator should know and no answer says. Nil discards it.
	Logger *slog.Logger
}

// Owner is the node that serves. The zero Owner means that none does.
type Owner struct {
	Node string
	URL  string // where the other nodes reach it
	// Term grows with every take: the revision at which etcd made its key.
	Term int64
	// Since is when the node took the term, on its own clock.
	Since time.Time
}

// Node is a node that is alive: etcd has heard of it within the time of its lease.
type Node struct {
	Name     string
	URL      string
	Version  string
	Policies string // digest
	// Since is when it joined, on its own clock.
	Since time.Time
}

// Stats are counts since the process started, and what was last seen of etcd.
type Stats struct {
	RoundTrips      uint64 // requests to etcd for records
	Retries         uint64 // of them, those sent again
	UnknownOutcomes uint64 // commits whose first answer did not come
	Quota           int64  // the most bytes of etcd's database; 0: not known yet
	Used            int64  // bytes in use, of the node of etcd that uses most
	Alarm           bool   // etcd refuses writes, because its database is full
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

var errNotYet = errors.New("the store in etcd is not complete yet")

// Cluster is a node's connection to etcd. It is safe for use by many goroutines.
type Cluster struct{}

// Open connects to etcd. An etcd that is older than 3.6 is refused.
func Open(context.Context, Config) (*Cluster, error) { return nil, errNotYet }

// Join puts this node among those that are alive, until Close. If another node has its name,
// Join waits for one lease, and then returns a [*NodeTakenError].
func (c *Cluster) Join(context.Context) error { return errNotYet }

// Owner returns the node that serves as last seen, and a channel that is closed at the next
// change. Quick.
func (c *Cluster) Owner() (Owner, <-chan struct{}) { return Owner{}, nil }

// Take waits until no node has the term, and takes it.
func (c *Cluster) Take(context.Context) (*Store, error) { return nil, errNotYet }

// Nodes returns all nodes that are alive, by name.
func (c *Cluster) Nodes(context.Context) ([]Node, error) { return nil, errNotYet }

// SetPolicies tells the other nodes the digest of this node's policies.
func (c *Cluster) SetPolicies(context.Context, string) error { return errNotYet }

// ForwardKey returns the 32 bytes by which nodes know each other's requests. All nodes of a
// cluster have the same.
func (c *Cluster) ForwardKey() []byte { return nil }

// Stats returns counts, and what was last seen of etcd. Quick.
func (c *Cluster) Stats() Stats { return Stats{} }

// Close ends what Open and Join began: etcd forgets the node. Close the stores before.
func (c *Cluster) Close() error { return nil }

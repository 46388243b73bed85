package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// Cluster is what a server knows of the nodes that share its lock table. Implementations are safe for
// use by many goroutines.
type Cluster interface {
	// Stats returns what the metrics show. It is quick.
	Stats() ClusterStats
	// State returns this node, the node that serves, all that are alive, and when the last terms
	// began that this node knows of.
	State(ctx context.Context) (ClusterState, error)
	// HandOver begins to give the lock table to another node, and does not wait for it. The drain
	// is on record.
	HandOver()
}

// ClusterStats are the numbers of a node in metrics.
type ClusterStats = metrics.Cluster

// ClusterState is the state of a cluster, as one of its nodes sees it.
type ClusterState struct {
	Node    string // that was asked
	Serving api.Term
	// Nodes are those that are alive, in order of name; only Name, URL, Version, Policies and Since
	// are set.
	Nodes []api.Node
	Takes []time.Time // when the last terms began, at least those of the last hour
}

// showCluster shows the nodes, and which of them serves.
func (a *API) showCluster(ctx context.Context, c *caller, _ *param.Values) (none wire.JSON, err error) {
	if err := core.MayAll(c.principal, "see the nodes", auth.Admin); err != nil {
		return none, err
	}
	if a.cluster == nil {
		return none, problem.ErrNotFound
	}
	state, err := a.clusterState(ctx)
	return wire.JSON{Value: state}, err
}

// clusterState returns the nodes as answers have them.
func (a *API) clusterState(ctx context.Context) (api.Cluster, error) {
	s, err := a.cluster.State(ctx)
	if err != nil {
		return api.Cluster{}, err
	}
	all := api.Cluster{Node: s.Node, Serving: s.Serving, Nodes: s.Nodes, Takes: a.takes(s.Takes, time.Now())}
	all.Serving.Since = shown(all.Serving.Since)
	policies, known := "", false
	for _, n := range s.Nodes {
		if n.Name == s.Serving.Node {
			policies, known = n.Policies, true
		}
	}
	for i := range all.Nodes {
		n := &all.Nodes[i]
		n.Since, n.Serving = shown(n.Since), n.Name == s.Serving.Node
		n.PoliciesDiffer = known && n.Policies != policies
	}
	all.Nodes = notNil(all.Nodes)
	return all, nil
}

// clusterShown returns the nodes for a view of the server, which goes without them if the store of the
// cluster does not answer soon.
func (a *API) clusterShown(ctx context.Context) *api.Cluster {
	if a.cluster == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := a.clusterState(ctx)
	if err != nil {
		return nil
	}
	return &s
}

// leastSpan is the least time in which takes are counted, and mostSpan the most.
const (
	leastSpan = time.Minute
	mostSpan  = time.Hour
)

// takes counts how often the lock table changed hands within the longest ttl of all leases: each time
// it did, all leases began again.
func (a *API) takes(at []time.Time, now time.Time) api.Takes {
	span := min(max(a.service.LongestTTL(), leastSpan), mostSpan)
	t := api.Takes{WithinMS: span.Milliseconds()}
	for _, one := range at {
		if now.Sub(one) <= span {
			t.Count++
		}
	}
	return t
}

// handOver gives the lock table to another node, if there is one. The answer leaves first: it says what
// is about to happen, and the table may not be owned any more when it has.
func (x *exchange) handOver() error {
	a := x.api
	if err := core.MayAll(x.principal, "hand the lock table over", auth.Admin); err != nil {
		return err
	}
	if a.cluster == nil {
		return problem.ErrNotFound
	}
	state, err := a.clusterState(x.context())
	if err != nil {
		return err
	}
	moves := api.HandOver{From: state.Serving.Node, Term: state.Serving.Term, Others: len(state.Nodes) - 1}
	if moves.Others < 1 {
		x.encode(moves)
		return x.reply(http.StatusOK, wire.TypeJSON)
	}
	err = a.service.RecordHandOver(x.context(), x.principal, x.origin(), x.params.Text(param.Reason))
	if err != nil {
		return err
	}
	defer a.cluster.HandOver()
	a.log.Warn("the lock table is handed over to another node", "account", x.principal.Account)
	x.encode(moves) // not before: the parameters may be in the same buffer
	err = x.reply(http.StatusOK, wire.TypeJSON)
	_ = http.NewResponseController(x.w).Flush() // unsupported where there is no connection
	return err
}

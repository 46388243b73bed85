package client

import (
	"context"
	"iter"
	"net/http"
	"strings"

	"github.com/octostore/octostore/transport/api"
)

// Views of [Client.Live], and the types of package api that they have as JSON.
const (
	ShowLocks    = "locks"    // api.List
	ShowLock     = "lock"     // api.Lock
	ShowActivity = "activity" // api.Activity
	ShowPolicies = "policies" // api.PolicyList; needs the scope policies
	ShowServer   = "server"   // api.Server; needs the scope admin
)

// LiveQuery selects the views of a live stream.
type LiveQuery struct {
	Show  []string   // views; none: the locks
	Locks LocksQuery // of the view locks
	Name  string     // of the view lock
	// After is the ID of the last event that was received; the activity goes on after it.
	After string
}

// Live streams views of the server as they change, from one request. The Kind of an event is its
// view, and Data has all of it, except that events of the activity after the first have only the
// buckets that are new. Kind is ping if nothing happened for 15 s. The last pair has the error by
// which the stream ended, as with [Client.Watch].
func (c *Client) Live(ctx context.Context, q LiveQuery) iter.Seq2[WatchEvent, error] {
	query := q.Locks.values()
	if len(q.Show) > 0 {
		query.Set("show", strings.Join(q.Show, ","))
	}
	if q.Name != "" {
		query.Set("name", q.Name)
	}
	return c.stream(ctx, streamRequest{path: "/v1/live", query: query, after: q.After, longest: 16 << 20})
}

// Activity returns what the server did in the last hour.
func (c *Client) Activity(ctx context.Context) (a api.Activity, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/activity", nil, &a)
	return a, err
}

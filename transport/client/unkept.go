package client

import (
	"context"
	"errors"

	"github.com/octostore/octostore/transport/api"
)

// AcquireUnkept acquires a lock as [Client.Acquire] does, and leaves the lease to the caller:
// nothing renews it. It runs for its ttl from now on. If the options have a Confirm, it runs for
// that long only, until the caller renews it for the first time. Margin and Renewed are not used.
// WaitedMS of the grant is the whole wait, over all requests.
func (c *Client) AcquireUnkept(ctx context.Context, name string, o AcquireOptions) (api.Grant, error) {
	o.Margin, o.Renewed = 0, nil
	if o.Confirm != 0 {
		return c.acquireUnconfirmed(ctx, name, o)
	}
	l, err := c.Acquire(ctx, name, o)
	if err != nil {
		return api.Grant{}, err
	}
	l.cancel(errUnkept)
	<-l.ended
	g := l.Grant()
	g.WaitedMS = l.Waited().Milliseconds()
	return g, nil
}

// errUnkept ends the renewals of a lease that is left to the caller.
var errUnkept = errors.New("the lease is left to the caller of AcquireUnkept")

// acquireUnconfirmed acquires a lock without the first renewal.
func (c *Client) acquireUnconfirmed(ctx context.Context, name string, o AcquireOptions) (api.Grant, error) {
	q, err := c.newQueueing(name, o)
	if err != nil {
		return api.Grant{}, err
	}
	a, err := q.wait(ctx)
	if err != nil {
		return api.Grant{}, err
	}
	a.grant.WaitedMS = q.waited().Milliseconds()
	return a.grant, nil
}

package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/octostore/octostore/transport/api"
)

// Policies returns the policies of the server, with their statistics.
func (c *Client) Policies(ctx context.Context) (list api.PolicyList, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/policies", nil, &list)
	return list, err
}

// ReloadPolicies has the server reload its policies: all of them, or none. The reason is
// recorded; it may be empty. An [*Error] with code invalid says what is wrong with the policies.
func (c *Client) ReloadPolicies(ctx context.Context, reason string) (reloaded api.Reloaded, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/policies/reload", nonEmpty(map[string]string{"reason": reason}), &reloaded)
	return reloaded, err
}

// ExplainQuery is a request to explain. Members are the parameters of GET /v1/policies/explain;
// empty ones are left out.
type ExplainQuery struct {
	Name, Hook, At, Account, TTL, Wait, Holder, Reason string

	Metadata map[string]string
}

func (q ExplainQuery) values() url.Values {
	v := nonEmpty(map[string]string{
		"name": q.Name, "hook": q.Hook, "at": q.At, "account": q.Account, "ttl": q.TTL, "wait": q.Wait, "holder": q.Holder, "reason": q.Reason,
	})
	for key, value := range q.Metadata {
		v.Set("meta."+key, value)
	}
	return v
}

// ExplainPolicies returns what every policy would decide on a request, which is not made.
func (c *Client) ExplainPolicies(ctx context.Context, q ExplainQuery) (e api.Explanation, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/policies/explain", q.values(), &e)
	return e, err
}

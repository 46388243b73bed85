package client

import (
	"context"
	"net/http"

	"github.com/octostore/octostore/transport/api"
)

// Server returns the state of the server, with its limits and settings. It takes the scope
// admin.
func (c *Client) Server(ctx context.Context) (s api.Server, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/server", nil, &s)
	return s, err
}

// Drain has the server refuse acquires until it is restarted, and answer all waiters. The
// reason is recorded; it may be empty. It may be repeated, and takes the scope admin.
func (c *Client) Drain(ctx context.Context, reason string) (d api.Drain, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/drain", nonEmpty(map[string]string{"reason": reason}), &d)
	return d, err
}

// Cluster returns the nodes that share the lock table, and which of them serves it; an error of
// [api.CodeNotFound] if the server shares it with no other. It takes the scope admin.
func (c *Client) Cluster(ctx context.Context) (s api.Cluster, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/cluster", nil, &s)
	return s, err
}

// HandOver has the node that serves give the lock table to another one, which it does after the
// answer: [Client.Cluster] tells when another node serves. If there is no other, nothing is done. The reason is recorded; it may be empty.
// It takes the scope admin.
func (c *Client) HandOver(ctx context.Context, reason string) (h api.HandOver, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/cluster/hand-over", nonEmpty(map[string]string{"reason": reason}), &h)
	return h, err
}

// AuditState returns the extent of the audit log, its newest checkpoint and its public key.
func (c *Client) AuditState(ctx context.Context) (s api.AuditState, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/audit/state", nil, &s)
	return s, err
}

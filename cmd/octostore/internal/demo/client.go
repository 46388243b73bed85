package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// client speaks HTTP as curl would: no retries, nothing hidden.
type client struct {
	url  string
	http *http.Client
}

func newClient(url string) *client {
	return &client{url: url, http: &http.Client{Timeout: time.Minute}}
}

// answer is one of a grant or a problem.
type answer struct {
	api.Grant
	problem *api.Problem
	at      time.Time
}

// acquire requests a lock; query is the query string.
func (c *client) acquire(ctx context.Context, name, query string) (answer, error) {
	var a answer
	problem, err := c.do(ctx, "POST", "/v1/locks/"+name+"/acquire?"+query, "", &a.Grant)
	a.problem, a.at = problem, time.Now()
	return a, err
}

// granted is acquire that fails unless the lock is granted.
func (c *client) granted(ctx context.Context, name, query string) (answer, error) {
	a, err := c.acquire(ctx, name, query)
	if err == nil && a.problem != nil {
		err = fmt.Errorf("acquire %s: %s", name, a.problem.Detail)
	}
	return a, err
}

// finish renews or releases a lock, depending on verb.
func (c *client) finish(ctx context.Context, name, verb, leaseID string) (*api.Problem, error) {
	return c.do(ctx, "POST", "/v1/locks/"+name+"/"+verb, leaseID, nil)
}

func (c *client) get(ctx context.Context, name string) (api.Lock, error) {
	var l api.Lock
	problem, err := c.do(ctx, "GET", "/v1/locks/"+name, "", &l)
	if err == nil && problem != nil {
		err = fmt.Errorf("get %s: %s", name, problem.Detail)
	}
	return l, err
}

// do sends one request. It decodes the answer into into, or returns it if it is a problem.
func (c *client) do(ctx context.Context, method, path, leaseID string, into any) (*api.Problem, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	if leaseID != "" {
		req.Header.Set(api.HeaderLease, leaseID)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var problem *api.Problem
	if resp.StatusCode != http.StatusOK {
		problem = &api.Problem{}
		into = problem
	}
	if into == nil {
		return nil, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return nil, fmt.Errorf("%s %s: %s: %w", method, path, resp.Status, err)
	}
	return problem, nil
}

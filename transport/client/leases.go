package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// AcquireRequest is one request for a lock.
type AcquireRequest struct {
	Name   string
	TTL    time.Duration // of the lease, in whole milliseconds; 0: the server's default
	Wait   time.Duration // how long to wait in the queue; 0: do not wait
	Holder string        // who it is for, at most 256 bytes; may be empty
	Reason string        // at most 512 bytes; may be empty
	// Confirm is how long the lease runs until its first renewal, which gives it its ttl: what
	// only a proxy received is over soon. From 1 s to TTL; 0: the lease has its ttl at once.
	Confirm time.Duration
	// Key is the idempotency key, 16 to 128 visible ASCII characters. Requests with the same key
	// are one attempt: together they have one place in the queue, or one lease.
	Key      string
	Metadata map[string]string
}

// AcquireOnce acquires a lock by one request. With a Key the same request may be sent again, for
// example after an [*UnreachableError]; without one it may not, as the lock may have been granted.
// What is not the answer of an OctoStore server is never a grant.
func (c *Client) AcquireOnce(ctx context.Context, r AcquireRequest) (api.Grant, error) {
	return c.acquire(ctx, r, new(sending))
}

// Renew renews a lease by one request: it then runs for ttl, or as long as before if ttl is 0. It
// may be repeated. errors.Is(err, [ErrNotHeld]) says that the lease is over.
func (c *Client) Renew(ctx context.Context, name, leaseID string, ttl time.Duration) (api.Grant, error) {
	return c.renew(ctx, name, leaseID, ttl, new(sending))
}

// Release ends a lease by one request. It may be repeated for ten minutes; later, or if the lease
// had ended before, errors.Is(err, [ErrNotHeld]).
func (c *Client) Release(ctx context.Context, name, leaseID string) (ended api.Ended, err error) {
	return c.release(ctx, name, leaseID, new(sending))
}

// BreakRequest is a request to end the lease of another client.
type BreakRequest struct {
	Name   string
	Reason string // for the record; must not be empty
	// FencingToken is that of the lease to break: a newer one is not broken. 0: whatever lease
	// there is.
	FencingToken uint64
}

// Break ends the lease of another client by one request. It may be repeated if it names the
// fencing token. It needs a scope of its own.
func (c *Client) Break(ctx context.Context, r BreakRequest) (ended api.Ended, err error) {
	form := url.Values{"reason": {r.Reason}}
	if r.FencingToken != 0 {
		form.Set("fencing_token", strconv.FormatUint(r.FencingToken, 10))
	}
	s := sending{path: lockPath(r.Name, "break"), form: form}
	if err := c.ask(ctx, &s, &ended); err != nil {
		return api.Ended{}, err
	}
	if ended.Name != r.Name {
		return api.Ended{}, c.foreign()
	}
	return ended, nil
}

func (c *Client) acquire(ctx context.Context, r AcquireRequest, s *sending) (g api.Grant, err error) {
	s.path, s.form, s.wait = lockPath(r.Name, "acquire"), r.values(), r.Wait
	if r.Key != "" {
		s.header = [2]string{api.HeaderKey, r.Key}
	}
	if err := c.ask(ctx, s, &g); err != nil {
		return api.Grant{}, err
	}
	if !isGrant(g, r.Name) {
		return api.Grant{}, c.foreign()
	}
	return g, nil
}

func (r AcquireRequest) values() url.Values {
	v := nonEmpty(map[string]string{"holder": r.Holder, "reason": r.Reason})
	v.Set("wait", milliseconds(r.Wait))
	for name, d := range map[string]time.Duration{"ttl": r.TTL, "confirm": r.Confirm} {
		if d != 0 {
			v.Set(name, milliseconds(d))
		}
	}
	for key, value := range r.Metadata {
		v.Set("meta."+key, value)
	}
	return v
}

func (c *Client) renew(ctx context.Context, name, leaseID string, ttl time.Duration, s *sending) (g api.Grant, err error) {
	s.path, s.form, s.header = lockPath(name, "renew"), url.Values{}, [2]string{api.HeaderLease, leaseID}
	if ttl != 0 {
		s.form.Set("ttl", milliseconds(ttl))
	}
	if err := c.ask(ctx, s, &g); err != nil {
		return api.Grant{}, err
	}
	if !isGrant(g, name) || g.LeaseID != leaseID {
		return api.Grant{}, c.foreign()
	}
	return g, nil
}

func (c *Client) release(ctx context.Context, name, leaseID string, s *sending) (ended api.Ended, err error) {
	s.path, s.header = lockPath(name, "release"), [2]string{api.HeaderLease, leaseID}
	if err := c.ask(ctx, s, &ended); err != nil {
		return api.Ended{}, err
	}
	if ended.Name != name {
		return api.Ended{}, c.foreign()
	}
	return ended, nil
}

// isGrant reports whether an answer can be that of a server that granted a lock.
func isGrant(g api.Grant, name string) bool {
	return g.Name == name && isLeaseID(g.LeaseID) && g.FencingToken > 0 && g.FencingToken < 1<<53 &&
		g.TTLMS > 0 && g.ExpiresInMS > 0 && g.ServerMS >= 0
}

func isLeaseID(id string) bool {
	const length, alphabet = 32, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return len(id) == length && strings.Trim(id, alphabet) == ""
}

// foreign is the error for a 200 that is not the answer to the request.
func (c *Client) foreign() error { return &ForeignError{URL: c.shown, Status: http.StatusOK} }

// lockPath is the path of an operation on a lock. A name that the server does not accept stays
// one name.
func lockPath(name, verb string) string {
	segments := strings.Split(name, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return "/v1/locks/" + strings.Join(segments, "/") + "/" + verb
}

// sending is a request that is sent once.
type sending struct {
	path   string
	form   url.Values // parameters
	header [2]string
	wait   time.Duration // how long the server may take besides its usual time
	most   time.Duration // until the answer has to be there; 0: the client's timeout and wait
	// gone is set as soon as the request may reach a server.
	gone atomic.Bool
}

// connectTimeout is how long to wait for a connection.
const connectTimeout = 5 * time.Second

var (
	errNoConnection = errors.New("no connection was made in 5s")
	errNoAnswer     = errors.New("the answer did not come in time")
)

// ask sends a request once, and reads its answer.
func (c *Client) ask(ctx context.Context, s *sending, into any) error {
	most := s.most
	if most == 0 && c.http.Timeout > 0 {
		most = c.http.Timeout + s.wait
	}
	own, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if most > 0 {
		late := time.AfterFunc(most, func() { cancel(errNoAnswer) })
		defer late.Stop()
	}
	connecting := time.AfterFunc(connectTimeout, func() { cancel(errNoConnection) })
	defer connecting.Stop()
	err := c.exchange(httptrace.WithClientTrace(own, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { connecting.Stop() },
		WroteHeaders: func() { s.gone.Store(true) },
	}), s, into)
	if err != nil && own.Err() != nil && ctx.Err() == nil {
		c.long.CloseIdleConnections() // one over which nothing comes is not used again
		return &UnreachableError{URL: c.shown, Err: context.Cause(own)}
	}
	return err
}

func (c *Client) exchange(ctx context.Context, s *sending, into any) error {
	req, err := c.formRequest(ctx, s.path, s.form)
	if err != nil {
		return err
	}
	// Package net/http would repeat a request with an idempotency key by itself after a cut
	// connection, if it could. It still can if there is no body; an acquire always has one.
	req.GetBody = nil
	if s.header[0] != "" {
		req.Header.Set(s.header[0], s.header[1])
	}
	resp, err := c.send(c.long, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	const most = 64 << 10
	return c.read(ctx, io.LimitReader(resp.Body, most), into)
}

// read reads an answer. One that was cut off is no answer.
func (c *Client) read(ctx context.Context, from io.Reader, into any) error {
	body, err := io.ReadAll(from)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		if len(body) > 0 && body[0] == '{' && !json.Valid(body) {
			return &UnreachableError{URL: c.shown, Err: io.ErrUnexpectedEOF}
		}
		return c.foreign()
	}
	return nil
}

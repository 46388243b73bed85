// Package client is the Go client of an OctoStore server. It needs only the standard library.
//
// [Client.Acquire] is what most programs want: it waits for a lock through outages and cut
// connections without losing its place in the queue, and returns a [Lease] that renews itself.
// [Lease.Context] ends before the lease can be lost. [Client.NewCampaign] elects a leader with it.
//
// All other methods send exactly one request and never repeat it. The text of each says whether
// a caller may do so.
//
// Errors: an [*Error] is a refusal of the server, and [errors.Is] compares it with the meanings
// of codes, like [ErrHeld]; an [*UnreachableError] means that no answer arrived; a
// [*ForeignError] is the answer of something that is no OctoStore server.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/boottime"
	"github.com/octostore/octostore/transport/api"
)

// DefaultURL is the default address of a server.
const DefaultURL = "http://127.0.0.1:3000"

// Client talks to one server. Make one with [New]; it is safe for use by many
// goroutines.
type Client struct {
	base  string
	shown string // base without a password
	token string
	http  *http.Client
	long  *http.Client         // http without its timeout, for answers that take long
	now   func() time.Duration // a clock that counts suspends; a test has its own
}

// Config is the address of a server and the token for it. The zero value is useful.
type Config struct {
	URL   string // default: DefaultURL
	Token string // sent as a bearer token; empty: none
	// HTTP sends the requests; default: one without a timeout, as some answers take long.
	// Redirects are never followed: the token is for one server, and package net/http would
	// send it to other ports of the host, to its subdomains, and without TLS. Its Timeout does
	// not count the time that a request waits for a lock, and does not hold for streams.
	HTTP *http.Client
}

// New returns a client of the server at cfg.URL, or an error if that is no URL of a server, or if
// no header can carry the token.
func New(cfg Config) (*Client, error) {
	if cfg.URL == "" {
		cfg.URL = DefaultURL
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(cfg.URL, "?#") {
		return nil, fmt.Errorf("%q is not the URL of a server; want one like %s", cfg.URL, DefaultURL)
	}
	if strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token contains a space, a line end or another character that no token has")
	}
	direct := *cfg.HTTP
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	long := direct
	long.Timeout = 0
	return &Client{
		base:  strings.TrimSuffix(cfg.URL, "/"),
		shown: strings.TrimSuffix(u.Redacted(), "/"),
		token: cfg.Token,
		http:  &direct,
		long:  &long,
		now:   boottime.Now,
	}, nil
}

// get sends a request and returns the answer if it is a success. The caller closes
// its body.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, path, query)
}

// do is get for any method; parameters are in the query.
func (c *Client) do(ctx context.Context, method, path string, query url.Values) (*http.Response, error) {
	req, err := c.request(ctx, method, path, query)
	if err != nil {
		return nil, err
	}
	return c.roundTrip(req)
}

// request returns a request with its parameters in the query.
func (c *Client) request(ctx context.Context, method, path string, query url.Values) (*http.Request, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return http.NewRequestWithContext(ctx, method, target, nil)
}

// formRequest returns a POST with its parameters in the body: what is secret does not belong into
// a URL, which proxies and servers log.
func (c *Client) formRequest(ctx context.Context, path string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// nonEmpty returns the parameters that are not empty.
func nonEmpty(parameters map[string]string) url.Values {
	v := url.Values{}
	for name, value := range parameters {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// roundTrip sends a request with the token.
func (c *Client) roundTrip(req *http.Request) (*http.Response, error) {
	return c.send(c.http, req)
}

// send is roundTrip with another HTTP client.
func (c *Client) send(with *http.Client, req *http.Request) (*http.Response, error) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := with.Do(req)
	if err != nil {
		return nil, c.unreachable(req.Context(), err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode < 400 {
		return nil, &ForeignError{URL: c.shown, Status: resp.StatusCode, Location: resp.Header.Get("Location")}
	}
	return nil, problemOf(resp)
}

// Health returns nil if the server answers, and does not say that it has failed.
func (c *Client) Health(ctx context.Context) error { return c.probe(ctx, "/healthz", nil) }

// Ready returns nil while leases can be renewed and released; if grants, only while new locks
// are granted, too.
func (c *Client) Ready(ctx context.Context, grants bool) error {
	query := url.Values{}
	if grants {
		query.Set("grants", "1")
	}
	return c.probe(ctx, "/readyz", query)
}

// probe returns nil if a probe is answered with the status ok.
func (c *Client) probe(ctx context.Context, path string, query url.Values) error {
	resp, err := c.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	const most = 4 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if h := healthOf(body); h.Status != api.OK {
		return &ForeignError{URL: c.shown, Status: resp.StatusCode}
	}
	return nil
}

// AuditQuery selects records of the audit log. Members are the parameters of GET /v1/audit;
// empty ones are left out.
type AuditQuery struct {
	After, Since, Until, Name, Prefix, Kind, Account, Decision string

	Limit  int64
	Last   int // only the newest so many, 1 to 1000; not with After, Limit and Follow
	CSV    bool
	Follow bool
}

func (q AuditQuery) values() url.Values {
	v := nonEmpty(map[string]string{
		"after": q.After, "since": q.Since, "until": q.Until, "name": q.Name, "prefix": q.Prefix,
		"kind": q.Kind, "account": q.Account, "decision": q.Decision,
	})
	if q.Limit > 0 {
		v.Set("limit", strconv.FormatInt(q.Limit, 10))
	}
	if q.Last > 0 {
		v.Set("last", strconv.Itoa(q.Last))
	}
	if q.CSV {
		v.Set("format", "csv")
	}
	if q.Follow {
		v.Set("follow", "1")
	}
	return v
}

// Audit returns an export as a stream of lines. The first line opens it and the last closes it;
// without the closing line it is not complete. The caller closes it. An [*Error] with code
// cursor_expired names the oldest cursor.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (io.ReadCloser, error) {
	req, err := c.request(ctx, http.MethodGet, "/v1/audit", q.values())
	if err != nil {
		return nil, err
	}
	resp, err := c.send(c.long, req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

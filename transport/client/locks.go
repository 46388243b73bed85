package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// QueuePage selects places of a lock's queue. The zero QueuePage selects the first 16.
type QueuePage struct {
	Waiters int // how many at most, 1 to 1,000; 0: 100, or 16 if After is 0, too
	After   int // only places behind this position: the WaitersNext of the page before
}

// Lock returns the state of a lock. An [*Error] with code invalid says what is wrong with the
// name, one with code forbidden which scope is needed.
func (c *Client) Lock(ctx context.Context, name string, page QueuePage) (api.Lock, error) {
	// A lock whose name ends in a verb cannot be read by its path.
	query := url.Values{"name": {name}}
	if page.Waiters > 0 {
		query.Set("waiters", strconv.Itoa(page.Waiters))
	}
	if page.After > 0 {
		query.Set("waiters_after", strconv.Itoa(page.After))
	}
	var list api.List
	if err := c.call(ctx, http.MethodGet, "/v1/locks", query, &list); err != nil {
		return api.Lock{}, err
	}
	if len(list.Locks) != 1 || list.Locks[0].Name != name {
		return api.Lock{}, errors.New("the server answered with other locks than the one that was asked for; it may be older than this program")
	}
	return list.Locks[0], nil
}

// lockSoon is Lock, but fails if the answer does not come in ten seconds.
func (c *Client) lockSoon(ctx context.Context, name string) (api.Lock, error) {
	const most = 10 * time.Second
	asking, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	lock, err := c.Lock(asking, name, QueuePage{})
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		err = &UnreachableError{URL: c.shown, Err: errNoAnswer}
	}
	return lock, err
}

// LocksQuery selects locks. Members are the parameters of GET /v1/locks; empty ones are left out.
type LocksQuery struct {
	Prefix  string // only names that begin with it
	Account string // only locks that this account holds
	After   string // only names after this one: the Next of the page before
	Limit   int    // at most this many, 1 to 1,000; 0: 100
	// Sort is the order: waiters or wait, of locks with waiters only, with the most waiters or
	// the longest wait first, in one page; empty: by name.
	Sort string
}

func (q LocksQuery) values() url.Values {
	query := nonEmpty(map[string]string{"prefix": q.Prefix, "account": q.Account, "after": q.After, "sort": q.Sort})
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	return query
}

// Locks returns a page of the locks that are held or waited for. Names that the account
// may not read do not appear.
func (c *Client) Locks(ctx context.Context, q LocksQuery) (list api.List, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/locks", q.values(), &list)
	return list, err
}

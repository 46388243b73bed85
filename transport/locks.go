package transport

import (
	"context"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
)

// getLock shows one lock.
func (a *API) getLock(ctx context.Context, c *caller, p *param.Values) (wire.Lock, error) {
	view, err := a.lockView(ctx, c, p, p.Lock)
	return wire.Lock{View: view}, err
}

// lockView returns the state of a lock: as published, or with the page of its queue that
// the request asks for.
func (a *API) lockView(ctx context.Context, c *caller, p *param.Values, name lock.Name) (lock.View, error) {
	if !p.Has(param.Waiters) && !p.Has(param.WaitersAfter) {
		return a.service.Get(c.principal, name)
	}
	limit, err := p.PageSize(param.Waiters)
	if err != nil {
		return lock.View{}, err
	}
	after, err := p.WaitersAfter()
	if err != nil {
		return lock.View{}, err
	}
	return a.service.Queue(ctx, c.principal, name, after, limit)
}

// listLocks shows a page of the locks that are held or waited for, or the one lock that the
// request names, whatever its state.
func (a *API) listLocks(ctx context.Context, c *caller, p *param.Values) (wire.List, error) {
	if p.Has(param.Name) {
		return a.listOne(ctx, c, p)
	}
	query, err := listQuery(p)
	if err != nil {
		return wire.List{}, err
	}
	views, next, err := a.service.List(c.principal, query)
	return wire.List{Views: views, Next: next}, err
}

// listOne is for a lock whose name ends in a verb, which no path of a GET can name.
func (a *API) listOne(ctx context.Context, c *caller, p *param.Values) (wire.List, error) {
	if other := p.Given() & param.SetOf(param.Prefix, param.Account, param.Sort, param.Limit, param.After); other != 0 {
		return wire.List{}, &input.Error{
			Field:   "name",
			Problem: "is given together with " + other.String(),
			Want:    "name for one lock, or the others for a listing",
		}
	}
	name, err := p.LockName()
	if err != nil {
		return wire.List{}, err
	}
	view, err := a.lockView(ctx, c, p, name)
	return wire.List{Views: []lock.View{view}, Whole: true}, err
}

func listQuery(p *param.Values) (q table.Query, err error) {
	for _, f := range []param.Field{param.Waiters, param.WaitersAfter} {
		if p.Has(f) {
			return q, &input.Error{Field: f.String(), Problem: "is given without name", Want: "the name of the lock whose queue is to be shown"}
		}
	}
	q.Account = p.Text(param.Account)
	if q.Prefix, err = p.Prefix(); err != nil {
		return q, err
	}
	if q.Limit, err = p.PageSize(param.Limit); err != nil {
		return q, err
	}
	if q.Order, err = p.Order(); err != nil {
		return q, err
	}
	if q.Order != table.ByName && p.Has(param.After) {
		return q, &input.Error{
			Field: "after", Problem: "is given with another order than by name, which has one page", Want: "a larger limit, or no sort",
		}
	}
	q.After, err = p.After()
	return q, err
}

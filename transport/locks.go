package transport

import (
	"net/http"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/internal/param"
)

// get shows one lock.
func (x *exchange) get() error {
	view, err := x.view(x.params.Lock)
	if err != nil {
		return err
	}
	x.buf = appendLock(x.buf[:0], view, time.Now())
	x.reply(http.StatusOK, typeJSON)
	return nil
}

// view returns the state of a lock: as published, or with that page of its queue that is
// asked for.
func (x *exchange) view(name lock.Name) (lock.View, error) {
	p := &x.params
	if p.Given()&(1<<param.Waiters|1<<param.WaitersAfter) == 0 {
		return x.api.service.Get(x.who, name)
	}
	limit, err := p.PageSize(param.Waiters)
	if err != nil {
		return lock.View{}, err
	}
	after, err := p.WaitersAfter()
	if err != nil {
		return lock.View{}, err
	}
	return x.api.service.Queue(x.context(), x.who, name, after, limit)
}

// list shows a page of the locks that are held or waited for, or the one that is named,
// whatever its state.
func (x *exchange) list() error {
	if x.params.Has(param.Name) {
		return x.listOne()
	}
	query, err := x.listQuery()
	if err != nil {
		return err
	}
	views, next, err := x.api.service.List(x.who, query)
	if err != nil {
		return err
	}
	x.buf = appendList(x.buf[:0], views, next, time.Now())
	x.reply(http.StatusOK, typeJSON)
	return nil
}

// listOne is for a lock whose name ends in a verb, which no path of a GET can.
func (x *exchange) listOne() error {
	p := &x.params
	if other := p.Given() & param.SetOf(param.Prefix, param.Account, param.Limit, param.After); other != 0 {
		return &input.Error{Field: "name", Problem: "is given together with " + other.String(), Want: "name for one lock, or the others for a listing"}
	}
	name, err := p.LockName()
	if err != nil {
		return err
	}
	view, err := x.view(name)
	if err != nil {
		return err
	}
	x.buf = appendOne(x.buf[:0], view, time.Now())
	x.reply(http.StatusOK, typeJSON)
	return nil
}

func (x *exchange) listQuery() (q table.Query, err error) {
	p := &x.params
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
	q.After, err = p.After()
	return q, err
}

package transport

import (
	"net/http"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// get shows one lock.
func (x *exchange) get() error {
	view, err := x.api.service.Get(x.who, x.name)
	if err != nil {
		return err
	}
	x.buf = appendLock(x.buf[:0], view, time.Now())
	x.reply(http.StatusOK, typeJSON)
	return nil
}

// list shows a page of the locks that are held or waited for.
func (x *exchange) list() error {
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

func (x *exchange) listQuery() (q lock.Query, err error) {
	p := &x.params
	q.Prefix, q.Account = p.values[fieldPrefix], p.values[fieldAccount]
	if q.Limit, err = p.limit(); err != nil {
		return q, err
	}
	q.After, err = p.after()
	return q, err
}

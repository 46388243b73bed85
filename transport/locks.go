package transport

import (
	"net/http"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// get shows one lock.
func (x *exchange) get() error {
	view, err := x.view(x.name)
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
	if p.given&(1<<fieldWaiters|1<<fieldWaitersAfter) == 0 {
		return x.api.service.Get(x.who, name)
	}
	limit, err := p.pageSize(fieldWaiters)
	if err != nil {
		return lock.View{}, err
	}
	after, err := p.position()
	if err != nil {
		return lock.View{}, err
	}
	return x.api.service.Queue(x.context(), x.who, name, after, limit)
}

// list shows a page of the locks that are held or waited for, or the one that is named,
// whatever its state.
func (x *exchange) list() error {
	if x.params.given.has(fieldName) {
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
	if other := p.given & setOf(fieldPrefix, fieldAccount, fieldLimit, fieldAfter); other != 0 {
		return &input.Error{Field: "name", Problem: "is given together with " + other.String(), Want: "name for one lock, or the others for a listing"}
	}
	name, err := p.lockName()
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
	for _, f := range []field{fieldWaiters, fieldWaitersAfter} {
		if p.given.has(f) {
			return q, &input.Error{Field: fieldNames[f], Problem: "is given without name", Want: "the name of the lock whose queue is to be shown"}
		}
	}
	q.Account = p.values[fieldAccount]
	if q.Prefix, err = p.prefix(); err != nil {
		return q, err
	}
	if q.Limit, err = p.pageSize(fieldLimit); err != nil {
		return q, err
	}
	q.After, err = p.after()
	return q, err
}

// lockName returns the name of a lock that is given as a parameter.
func (p *params) lockName() (lock.Name, error) {
	text := p.values[fieldName]
	name, err := lock.ParseName(text)
	if err != nil {
		err = plusLost(fieldName, text, err)
	}
	return name, err
}

// prefix returns the beginning of names that is asked for; empty: of all.
func (p *params) prefix() (string, error) {
	text := p.values[fieldPrefix]
	if err := lock.CheckPrefix(text); err != nil {
		return "", plusLost(fieldPrefix, text, err)
	}
	return text, nil
}

// plusLost explains a blank in what should be a name, or the beginning of one: in a query
// and in a form, a plus that is not encoded is a blank.
func plusLost(f field, text string, err error) error {
	if !strings.Contains(text, " ") {
		return err
	}
	return &input.Error{
		Field:   fieldNames[f],
		Problem: "has a space, which no name has; a '+' that is not encoded is one",
		Want:    "every '+' of the name written as %2B",
	}
}

package transport

import (
	"net/http"
	"strings"

	"github.com/octostore/octostore/core/lock"
)

// renew gives a lease more time.
func (x *exchange) renew() error {
	id, err := x.params.leaseID(x.r.Header)
	if err != nil {
		return err
	}
	ttl, err := x.params.ttl()
	if err != nil {
		return err
	}
	grant, err := x.api.service.Renew(x.context(), principal(x.r), lock.Renewal{
		Origin: x.origin(), Name: x.name, LeaseID: id, TTL: ttl,
	})
	if err != nil {
		return err
	}
	if !x.lasts(grant.Lease) {
		return lock.ErrTooLate
	}
	x.reply(http.StatusOK, x.encodeGrant(grant, 0))
	return nil
}

// release gives a lock back.
func (x *exchange) release() error {
	id, err := x.params.leaseID(x.r.Header)
	if err != nil {
		return err
	}
	ended, err := x.api.service.Release(x.context(), principal(x.r), lock.Release{
		Origin: x.origin(), Name: x.name, LeaseID: id,
	})
	if err != nil {
		return err
	}
	x.ended(ended)
	return nil
}

// breakLease ends the lease of somebody else.
func (x *exchange) breakLease() error {
	cause := strings.Trim(x.params.values[fieldReason], " ")
	if cause == "" {
		return &lock.InputError{Field: "reason", Problem: "is missing", Want: "why the lease is broken, for the record"}
	}
	token, err := x.params.fencingToken()
	if err != nil {
		return err
	}
	ended, err := x.api.service.Break(x.context(), principal(x.r), lock.Breaking{
		Origin: x.origin(), Name: x.name, Token: token, Cause: cause,
	})
	if err != nil {
		return err
	}
	x.ended(ended)
	return nil
}

func (x *exchange) ended(e lock.Ended) {
	x.buf = appendEnded(x.buf[:0], e)
	x.reply(http.StatusOK, typeJSON)
}

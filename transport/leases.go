package transport

import (
	"net/http"
	"strings"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/param"
)

// renew gives a lease more time.
func (x *exchange) renew() error {
	id, err := x.params.LeaseID()
	if err != nil {
		return err
	}
	ttl, err := x.params.TTL()
	if err != nil {
		return err
	}
	grant, err := x.api.service.Renew(x.context(), x.who, lock.Renewal{
		Origin: x.origin(), Name: x.params.Lock, LeaseID: id, TTL: ttl,
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
	id, err := x.params.LeaseID()
	if err != nil {
		return err
	}
	ended, err := x.api.service.Release(x.context(), x.who, lock.Release{
		Origin: x.origin(), Name: x.params.Lock, LeaseID: id,
	})
	if err != nil {
		return err
	}
	x.ended(ended)
	return nil
}

// breakLease ends the lease of somebody else, and gives the lock to the client if it
// asks for that.
func (x *exchange) breakLease() error {
	cause := strings.Trim(x.params.Text(param.Reason), " ")
	if cause == "" {
		return &input.Error{Field: "reason", Problem: "is missing", Want: "why the lease is broken, for the record"}
	}
	token, err := x.params.FencingToken()
	if err != nil {
		return err
	}
	take, err := x.params.Flag(param.Take)
	if err != nil {
		return err
	}
	breaking := lock.Breaking{Origin: x.origin(), Name: x.params.Lock, Token: token, Cause: cause}
	if take {
		return x.take(breaking)
	}
	if useless := x.params.Given() & param.SetOf(param.TTL, param.Confirm, param.Holder, param.Metadata); useless != 0 || x.params.Metadata() != nil {
		return &input.Error{Field: "take", Problem: "is missing", Want: "take=1 beside ttl, confirm, holder and metadata, which are of the lease that is taken"}
	}
	ended, err := x.api.service.Break(x.context(), x.who, breaking)
	if err != nil {
		return err
	}
	x.ended(ended)
	return nil
}

// take hands over a lock that was broken for it, as acquire does.
func (x *exchange) take(breaking lock.Breaking) error {
	ttl, err := x.params.TTL()
	if err != nil {
		return err
	}
	confirm, err := x.params.Confirm()
	if err != nil {
		return err
	}
	grant, err := x.api.service.Take(x.context(), x.who, breaking, core.AcquireRequest{
		Origin: breaking.Origin, TTL: ttl, Confirm: confirm, Holder: x.params.Text(param.Holder), Reason: breaking.Cause, Metadata: x.params.Metadata(),
	})
	if err != nil {
		return err
	}
	return x.because(x.hand(grant, 0))
}

func (x *exchange) ended(e lock.Ended) {
	x.buf = appendEnded(x.buf[:0], e)
	x.reply(http.StatusOK, typeJSON)
}

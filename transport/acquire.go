package transport

import (
	"net/http"
	"strconv"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/internal/param"
)

// acquire takes the lock, waiting for it if asked to.
func (x *exchange) acquire() error {
	req, err := x.acquireRequest()
	if err != nil {
		return err
	}
	if req.Wait > 0 {
		defer x.bound()()
	}
	grant, err := x.api.service.Acquire(x.context(), x.who, req)
	if err != nil {
		return x.because(err)
	}
	return x.because(x.hand(grant, x.api.service.Wait(req.Wait)))
}

func (x *exchange) acquireRequest() (core.AcquireRequest, error) {
	p := &x.params
	req := core.AcquireRequest{
		Origin:   x.origin(),
		Name:     x.params.Lock,
		Holder:   p.Text(param.Holder),
		Reason:   p.Text(param.Reason),
		Metadata: p.Metadata(),
	}
	var err error
	if req.TTL, err = p.TTL(); err != nil {
		return req, err
	}
	if req.Confirm, err = p.Confirm(); err != nil {
		return req, err
	}
	if req.Wait, err = p.Wait(); err != nil {
		return req, err
	}
	req.Key, err = p.Key()
	return req, err
}

// hand gives a grant to its holder, or takes it back. Whatever goes wrong before
// the answer has left the process, nobody may be left with a lock he does not know
// of; a write that succeeded is never taken back.
func (x *exchange) hand(grant table.Grant, wait time.Duration) error {
	undo := true
	defer func() {
		if undo {
			x.api.service.Undo(grant)
		}
	}()
	if x.context().Err() != nil || x.hasLeft() {
		return lock.ErrGone
	}
	if err := x.who.Err(time.Now()); err != nil {
		return err
	}
	if !x.lasts(grant.Lease) {
		undo = false // it ends by itself
		return lock.ErrTooLate
	}
	contentType := x.encodeGrant(grant, wait)
	if err := x.deliver(http.StatusOK, contentType); err != nil {
		return lock.ErrGone
	}
	undo = false
	return nil
}

// lasts reports whether the lease has at least a millisecond left, the least an
// answer can speak of.
func (x *exchange) lasts(l *lock.Lease) bool {
	return time.Until(l.ExpiresAt) >= time.Millisecond
}

// encodeGrant builds the answer to acquire and renew and returns its type.
func (x *exchange) encodeGrant(grant table.Grant, wait time.Duration) []string {
	if x.params.PrefersText() {
		b := append(x.buf[:0], grant.LeaseID...)
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(grant.Lease.Token), 10)
		x.buf = append(b, '\n')
		return typeText
	}
	now := time.Now()
	x.buf = appendGrant(x.buf[:0], grant, wait, now.Sub(x.started), now)
	return typeJSON
}

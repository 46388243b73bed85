package httplocktest

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/octostore/octostore/core/lock/locktest"
	"github.com/octostore/octostore/transport/api"
)

var _ locktest.Service = Locks{}

// Locks are the locks of a service.
type Locks struct {
	// Ask sends a request, as often as is needed. An error says that its outcome is unknown, unless
	// Refused says something else.
	Ask func(ctx context.Context, method, path string, headers ...string) (Answer, error)
	// Refused reports whether a request was surely not done, although this is no answer of a
	// server that nothing disturbs. Nil: no such answer is expected.
	Refused func(Answer, error) bool
	// Unexpected is called with answers that such a service does not give. It fails the test.
	Unexpected func(Answer)
	// Prefix is put before the names of locks.
	Prefix string
}

// Acquire is [locktest.Service.Acquire].
func (l Locks) Acquire(ctx context.Context, ask locktest.Ask) locktest.Outcome {
	q := url.Values{"ttl": {ask.TTL.String()}, "holder": {ask.Attempt}}
	if ask.Confirm > 0 {
		q.Set("confirm", ask.Confirm.String())
	}
	if ask.Wait > 0 {
		q.Set("wait", max(ask.Wait.Truncate(time.Millisecond), time.Millisecond).String())
	}
	var headers []string
	if ask.Key != "" {
		headers = []string{api.HeaderKey, ask.Key}
	}
	o := l.leaseOf(l.Ask(ctx, "POST", l.path(ask.Lock, "/acquire?"+q.Encode()), headers...))
	o.HungUp = ctx.Err() != nil
	return o
}

// Renew is [locktest.Service.Renew].
func (l Locks) Renew(ctx context.Context, name, id string, ttl time.Duration) locktest.Outcome {
	verb := "/renew"
	if ttl > 0 {
		verb += "?ttl=" + ttl.String()
	}
	return l.leaseOf(l.Ask(ctx, "POST", l.path(name, verb), api.HeaderLease, id))
}

// Release is [locktest.Service.Release].
func (l Locks) Release(ctx context.Context, name, id string) locktest.Outcome {
	return l.outcomeOf(l.Ask(ctx, "POST", l.path(name, "/release"), api.HeaderLease, id))
}

// Break is [locktest.Service.Break].
func (l Locks) Break(ctx context.Context, name string, token uint64) locktest.Outcome {
	verb := "/break?reason=test&fencing_token=" + strconv.FormatUint(token, 10)
	return l.outcomeOf(l.Ask(ctx, "POST", l.path(name, verb)))
}

// Look is [locktest.Service.Look].
func (l Locks) Look(ctx context.Context, name string) locktest.Outcome {
	a, err := l.Ask(ctx, "GET", l.path(name, ""))
	if err != nil || a.Status != http.StatusOK {
		return l.outcomeOf(a, err)
	}
	return seen(Read[api.Lock](a, l.Unexpected).Lease, locktest.Free, &a)
}

func (l Locks) path(name, verb string) string { return Path(l.Prefix+name, verb) }

// Read decodes the body of an answer, which has to be one.
func Read[T any](a Answer, unexpected func(Answer)) (v T) {
	if json.Unmarshal(a.Body, &v) != nil {
		unexpected(a)
	}
	return v
}

// leaseOf is what an answer to acquire or renew says. The bounds of the deadline are by our
// own clock: what was left when the answer was built, which was after the server had the
// request for as long as it says, and before we had the answer.
func (l Locks) leaseOf(a Answer, err error) locktest.Outcome {
	if err != nil || a.Status != http.StatusOK {
		return l.outcomeOf(a, err)
	}
	g := Read[api.Grant](a, l.Unexpected)
	left := time.Duration(g.ExpiresInMS) * time.Millisecond
	return locktest.Outcome{
		Result: locktest.Done, Token: g.FencingToken, LeaseID: g.LeaseID,
		Earliest: a.Sent.Add(time.Duration(g.ServerMS)*time.Millisecond + left),
		Latest:   a.Received.Add(left + time.Millisecond),

		Unconfirmed: g.ConfirmMS > 0, Detail: a.From,
	}
}

// outcomeOf is what an answer without a lease of the client's own says.
func (l Locks) outcomeOf(a Answer, err error) locktest.Outcome {
	switch {
	case l.Refused != nil && l.Refused(a, err):
		return locktest.Outcome{Result: locktest.Refused}
	case err != nil:
		return locktest.Outcome{Result: locktest.Unknown, Detail: err.Error()}
	case a.Status == http.StatusOK:
		return locktest.Outcome{Result: locktest.Done, Detail: a.From}
	case a.Problem.Code == api.CodeHeld:
		return seen(cmp.Or(a.Problem.HeldProblem, &api.HeldProblem{}).Lease, locktest.Refused, &a)
	}
	o := locktest.Outcome{Detail: a.detail()}
	switch a.Problem.Code {
	case api.CodeNotHeld:
		o.Result = locktest.NotHeld
	case api.CodeAttemptOver:
		o.Result = locktest.AttemptOver
	case api.CodeTooLate, api.CodeOutcomeUnknown:
		o.Result = locktest.Unknown
	case api.CodeSuperseded:
		o.Result = locktest.Refused
	default:
		l.Unexpected(a)
		o.Result = locktest.Unknown
	}
	return o
}

// seen is the lease of another client, or the result if there is none.
func seen(l *api.Lease, none locktest.Result, a *Answer) locktest.Outcome {
	if l == nil {
		return locktest.Outcome{Result: none, Detail: a.From}
	}
	return locktest.Outcome{Result: locktest.Held, Token: l.FencingToken, Attempt: l.Holder, Detail: a.From}
}

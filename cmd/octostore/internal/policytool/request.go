package policytool

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/jsontext"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/hooks/abi"
)

// request is a request in the form of abi/request.schema.json. What is left out has
// the value of defaultRequest.
type request struct {
	hook, phase string
	lock        struct {
		name            string
		held            bool
		holder, account *string
		expiresAt       *int64
		grantedAt       *int64
	}
	waiters                             int64
	account, holder, reason, remoteAddr string
	ttl, wait, waited                   int64
	metadata                            map[string]string
	accountHeld                         map[string]int64
	now                                 int64
	decisionID                          string
	around                              around
}

func defaultRequest() request {
	r := request{
		hook: abi.HookAcquire, phase: abi.PhaseRequest, account: "local", ttl: 60_000,
		now: 1767225600000, decisionID: "fixture", // 2026-01-01T00:00:00Z
	}
	r.lock.name = "example"
	return r
}

// DefaultCase is the request of which everything is left out.
func DefaultCase() hooks.Case {
	r := defaultRequest()
	c, err := r.toCase()
	if err != nil {
		panic(err) // there is nothing wrong with the defaults
	}
	return c
}

// ParseRequest reads a request, of which most may be left out, as a fixture has it.
// The error names the member.
func ParseRequest(text []byte) (hooks.Case, error) {
	if err := jsontext.Check(text); err != nil {
		return hooks.Case{}, fmt.Errorf("request %w", err)
	}
	return parseRequest("request", text)
}

func parseRequest(where string, raw json.RawMessage) (hooks.Case, error) {
	r := defaultRequest()
	var ofLock, queue json.RawMessage
	top := members{
		"hook": &r.hook, "phase": &r.phase, "lock": &ofLock, "queue": &queue, "account": &r.account, "holder": &r.holder,
		"reason": &r.reason, "remote_addr": &r.remoteAddr, "ttl_ms": &r.ttl, "wait_ms": &r.wait, "waited_ms": &r.waited,
		"metadata": &r.metadata, "account_held": &r.accountHeld, "now_ms": &r.now, "decision_id": &r.decisionID,
		"locks": &r.around.locks, "held": &r.around.held, "account_groups": &r.around.groups,
	}
	if err := top.read(where, raw); err != nil {
		return hooks.Case{}, err
	}
	if ofLock != nil {
		inner := members{
			"name": &r.lock.name, "held": &r.lock.held, "holder": &r.lock.holder, "account": &r.lock.account,
			"expires_at_ms": &r.lock.expiresAt, "granted_at_ms": &r.lock.grantedAt,
		}
		if err := inner.read(where+".lock", ofLock); err != nil {
			return hooks.Case{}, err
		}
	}
	if queue != nil {
		if err := (members{"length": &r.waiters}).read(where+".queue", queue); err != nil {
			return hooks.Case{}, err
		}
	}
	c, err := r.toCase()
	if err != nil {
		return hooks.Case{}, fmt.Errorf("%s.%w", where, err)
	}
	return c, nil
}

// toCase checks the values and makes the question that a server would ask. Errors
// begin with the member.
func (r *request) toCase() (hooks.Case, error) {
	name, err := lock.ParseName(r.lock.name)
	if err != nil {
		return hooks.Case{}, fmt.Errorf("lock.%w", err)
	}
	if err := r.check(); err != nil {
		return hooks.Case{}, err
	}
	if err := r.around.read(); err != nil {
		return hooks.Case{}, err
	}
	q := core.Question{
		Hook: core.Hook(r.hook), Phase: core.Phase(r.phase), Waited: milliseconds(r.waited),
		Asked: lock.Acquisition{
			Origin: lock.Origin{Actor: lock.Actor{Account: r.account, RemoteAddr: r.remoteAddr, Groups: r.around.memberOf()}, RequestID: r.decisionID},
			Name:   name, Holder: r.holder, Reason: r.reason, Metadata: r.metadata, TTL: milliseconds(r.ttl), Wait: milliseconds(r.wait),
		},
		View:  lock.View{Name: name, Waiters: int(r.waiters)},
		Held:  func(prefix string) int { return int(r.accountHeld[prefix]) },
		Locks: &r.around,
	}
	c := hooks.Case{Question: q, Now: time.UnixMilli(r.now)}
	if r.lock.held {
		c.View.Lease, c.Absent = r.lease(name)
	}
	return c, nil
}

// lease is the present lease; what the request does not say of it is absent.
func (r *request) lease(name lock.Name) (*lock.Lease, func(key string) bool) {
	l := &lock.Lease{Name: name}
	absent := map[string]bool{
		abi.KeyLockHolder: r.lock.holder == nil, abi.KeyLockAccount: r.lock.account == nil, abi.KeyLockExpiresAt: r.lock.expiresAt == nil,
		abi.KeyLockGrantedAt: r.lock.grantedAt == nil,
	}
	if r.lock.holder != nil {
		l.Holder = *r.lock.holder
	}
	if r.lock.account != nil {
		l.Account = *r.lock.account
	}
	if r.lock.expiresAt != nil {
		l.ExpiresAt = time.UnixMilli(*r.lock.expiresAt)
	}
	if r.lock.grantedAt != nil {
		l.GrantedAt = time.UnixMilli(*r.lock.grantedAt)
	}
	return l, func(key string) bool { return absent[key] }
}

func (r *request) check() error {
	switch r.hook {
	case abi.HookAcquire, abi.HookRenew, abi.HookBreak:
	default:
		return fmt.Errorf("hook: is %q; want acquire, renew or break", r.hook)
	}
	if r.phase != abi.PhaseRequest && r.phase != abi.PhaseGrant {
		return fmt.Errorf("phase: is %q; want request or grant", r.phase)
	}
	if !r.lock.held && (r.lock.holder != nil || r.lock.account != nil || r.lock.expiresAt != nil || r.lock.grantedAt != nil) {
		return errors.New(`lock: says who holds it, but it is not held; want "held": true too`)
	}
	const most = int64(1 << 40) // ms: 34 years
	for name, n := range map[string]int64{"ttl_ms": r.ttl, "wait_ms": r.wait, "waited_ms": r.waited, "queue.length": r.waiters} {
		if n < 0 || n > most {
			return fmt.Errorf("%s: is %d; want 0 to %d", name, n, most)
		}
	}
	for prefix, n := range r.accountHeld {
		if n < 0 || n > most {
			return fmt.Errorf("account_held.%s: is %d; want 0 or more", prefix, n)
		}
	}
	if strings.TrimSpace(r.decisionID) == "" {
		return errors.New("decision_id: is empty; want a text")
	}
	return nil
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

package transport

import (
	"fmt"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/timetext"
)

// explainFields are all parameters of an explanation, explained those a hook takes.
var (
	explainFields = setOf(fieldName, fieldHook, fieldAt, fieldAccount, fieldTTL, fieldWait, fieldHolder, fieldReason, fieldMetadata)
	explained     = map[core.Hook]fieldSet{
		core.HookAcquire: explainFields,
		core.HookRenew:   setOf(fieldName, fieldHook, fieldAt, fieldAccount, fieldTTL),
		core.HookBreak:   setOf(fieldName, fieldHook, fieldAt, fieldAccount, fieldReason),
	}
)

// explainPolicies says what the policies would say to a request, and why.
func (x *exchange) explainPolicies() error {
	if err := core.MayAll(x.who, "have the policies explained", auth.Policies); err != nil {
		return err
	}
	name, err := x.params.lockName()
	if err != nil {
		return err
	}
	x.name = name
	at, err := x.params.at()
	if err != nil {
		return err
	}
	q, err := x.supposed()
	if err != nil {
		return err
	}
	explanation, err := x.api.policies.Explain(x.context(), q, at)
	if err != nil {
		return err
	}
	explanation.Hook = string(q.Hook)
	if !at.IsZero() {
		utc := at.UTC()
		explanation.At = &utc
	}
	return x.json(explanation)
}

// supposed returns the question that the policies would be asked.
func (x *exchange) supposed() (core.Question, error) {
	p, service := &x.params, x.api.service
	hook, err := p.explainedHook()
	if err != nil {
		return core.Question{}, err
	}
	account := p.values[fieldAccount]
	switch hook {
	case core.HookRenew:
		ttl, err := p.ttl()
		if err != nil {
			return core.Question{}, err
		}
		return service.SupposeRenew(x.who, account, lock.Renewal{Origin: x.origin(), Name: x.name, TTL: ttl})
	case core.HookBreak:
		return service.SupposeBreak(x.who, account, lock.Breaking{Origin: x.origin(), Name: x.name, Cause: p.values[fieldReason]})
	}
	asked, err := x.acquireRequest()
	if err != nil {
		return core.Question{}, err
	}
	return service.Suppose(x.who, account, asked)
}

// explainedHook returns what is to be explained. Parameters that the hook does not have are
// refused: the policies would not see them.
func (p *params) explainedHook() (core.Hook, error) {
	hook := core.HookAcquire
	if p.given.has(fieldHook) {
		hook = core.Hook(p.values[fieldHook])
	}
	takes, known := explained[hook]
	if !known {
		return "", wrong(fieldHook, string(hook), "acquire, renew or break")
	}
	for _, f := range []field{fieldTTL, fieldWait, fieldHolder, fieldReason} {
		if p.given.has(f) && !takes.has(f) {
			return "", notOfHook(fieldNames[f], hook, takes)
		}
	}
	if len(p.meta) > 0 && !takes.has(fieldMetadata) {
		return "", notOfHook("meta", hook, takes)
	}
	return hook, nil
}

func notOfHook(name string, hook core.Hook, takes fieldSet) error {
	return &input.Error{Field: name, Problem: fmt.Sprintf("is no parameter of a %s", hook), Want: takes.String()}
}

// at returns the time that is asked about; zero: none was given.
func (p *params) at() (time.Time, error) {
	if !p.given.has(fieldAt) {
		return time.Time{}, nil
	}
	t, err := timetext.Time(p.values[fieldAt])
	if err != nil {
		return time.Time{}, wrong(fieldAt, p.values[fieldAt], timetext.WantTime)
	}
	return t, nil
}

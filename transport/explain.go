package transport

import (
	"fmt"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/param"
)

// explainFields are all parameters of an explanation, explained those a hook takes.
var (
	explainFields = param.SetOf(param.Name, param.Hook, param.At, param.Account, param.TTL, param.Wait, param.Holder, param.Reason, param.Metadata)
	explained     = map[core.Hook]param.Set{
		core.HookAcquire: explainFields,
		core.HookRenew:   param.SetOf(param.Name, param.Hook, param.At, param.Account, param.TTL),
		core.HookBreak:   param.SetOf(param.Name, param.Hook, param.At, param.Account, param.Reason),
	}
)

// explainPolicies says what the policies would say to a request, and why.
func (x *exchange) explainPolicies() error {
	if err := core.MayAll(x.who, "have the policies explained", auth.Policies); err != nil {
		return err
	}
	name, err := x.params.LockName()
	if err != nil {
		return err
	}
	x.params.Lock = name
	at, err := x.params.At()
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
	hook, err := explainedHook(p)
	if err != nil {
		return core.Question{}, err
	}
	account := p.Text(param.Account)
	switch hook {
	case core.HookRenew:
		ttl, err := p.TTL()
		if err != nil {
			return core.Question{}, err
		}
		return service.RenewQuestion(x.who, account, lock.Renewal{Origin: x.origin(), Name: x.params.Lock, TTL: ttl})
	case core.HookBreak:
		return service.BreakQuestion(x.who, account, lock.Breaking{Origin: x.origin(), Name: x.params.Lock, Cause: p.Text(param.Reason)})
	}
	asked, err := x.acquireRequest()
	if err != nil {
		return core.Question{}, err
	}
	return service.AcquireQuestion(x.who, account, asked)
}

// explainedHook returns what is to be explained. Parameters that the hook does not have are
// refused: the policies would not see them.
func explainedHook(p *param.Values) (core.Hook, error) {
	hook := core.HookAcquire
	if p.Has(param.Hook) {
		hook = core.Hook(p.Text(param.Hook))
	}
	takes, known := explained[hook]
	if !known {
		return "", param.Wrong(param.Hook, string(hook), "acquire, renew or break")
	}
	for _, f := range []param.Field{param.TTL, param.Wait, param.Holder, param.Reason} {
		if p.Has(f) && !takes.Has(f) {
			return "", notOfHook(f.String(), hook, takes)
		}
	}
	if len(p.Metadata()) > 0 && !takes.Has(param.Metadata) {
		return "", notOfHook("meta", hook, takes)
	}
	return hook, nil
}

func notOfHook(name string, hook core.Hook, takes param.Set) error {
	return &input.Error{Field: name, Problem: fmt.Sprintf("is no parameter of a %s", hook), Want: takes.String()}
}

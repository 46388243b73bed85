package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
)

// Policies are the policies of a server, as administrators see them.
type Policies interface {
	// List returns the policies of the manifest, including those that are off.
	List() api.PolicyList
	// Reload loads the manifest and all modules again, and returns what changed, in words.
	// If one of them is bad it changes nothing and returns an [*input.Error]. The request
	// and its reason are recorded with the result, also that of a failure.
	Reload(ctx context.Context, by lock.Origin, reason string) (changes string, err error)
	// Explain returns what every policy would decide on a question at that time (zero: now).
	// It is neither counted nor recorded. The error is that of ctx, or that the policies are
	// closed.
	Explain(ctx context.Context, q core.Question, at time.Time) (api.Explanation, error)
}

// noPolicies are the policies of a server without any.
type noPolicies struct{}

func (noPolicies) List() api.PolicyList { return api.PolicyList{Policies: []api.Policy{}} }

func (noPolicies) Reload(context.Context, lock.Origin, string) (string, error) {
	return "", &input.Error{Field: "policies", Problem: "are not configured", Want: "OCTOSTORE_POLICIES to name a policies.json"}
}

func (noPolicies) Explain(_ context.Context, q core.Question, _ time.Time) (api.Explanation, error) {
	return api.Explanation{Name: string(q.Asked.Name), Account: q.Asked.Actor.Account, Verdict: "allow", Policies: []api.Explained{}}, nil
}

// listPolicies shows the policies.
func (a *API) listPolicies(_ context.Context, c *caller, _ *param.Values) (wire.JSON, error) {
	if err := core.MayAll(c.principal, "see the policies", auth.Policies); err != nil {
		return wire.JSON{}, err
	}
	return wire.JSON{Value: a.policies.List()}, nil
}

// reloadPolicies reloads all policies, or none if one of them is bad.
func (a *API) reloadPolicies(ctx context.Context, c *caller, p *param.Values) (wire.JSON, error) {
	if err := core.MayAll(c.principal, "reload the policies", auth.Policies); err != nil {
		return wire.JSON{}, err
	}
	reason := p.Text(param.Reason)
	if err := input.CheckText("reason", reason, lock.MaxReason); err != nil {
		return wire.JSON{}, err
	}
	changes, err := a.policies.Reload(ctx, c.actor(), reason)
	if err != nil {
		return wire.JSON{}, err
	}
	return wire.JSON{Value: api.Reloaded{Changes: changes}}, nil
}

// explainFields are all parameters of an explanation, explained those of each hook.
var (
	explainFields = param.SetOf(
		param.Name,
		param.Hook,
		param.At,
		param.Account,
		param.TTL,
		param.Wait,
		param.Holder,
		param.Reason,
		param.Metadata,
	)
	explained = map[core.Hook]param.Set{
		core.HookAcquire: explainFields,
		core.HookRenew:   param.SetOf(param.Name, param.Hook, param.At, param.Account, param.TTL),
		core.HookBreak:   param.SetOf(param.Name, param.Hook, param.At, param.Account, param.Reason),
	}
)

// explainPolicies shows what each policy would decide on a request, and why.
func (a *API) explainPolicies(ctx context.Context, c *caller, p *param.Values) (none wire.JSON, err error) {
	if err := core.MayAll(c.principal, "have the policies explained", auth.Policies); err != nil {
		return none, err
	}
	if p.Lock, err = p.LockName(); err != nil {
		return none, err
	}
	at, err := p.At()
	if err != nil {
		return none, err
	}
	q, err := a.supposedQuestion(c, p)
	if err != nil {
		return none, err
	}
	explanation, err := a.policies.Explain(ctx, q, at)
	if err != nil {
		return none, err
	}
	explanation.Hook = string(q.Hook)
	if !at.IsZero() {
		utc := at.UTC()
		explanation.At = &utc
	}
	return wire.JSON{Value: explanation}, nil
}

// supposedQuestion returns the question that the policies would be asked.
func (a *API) supposedQuestion(c *caller, p *param.Values) (core.Question, error) {
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
		return a.service.RenewQuestion(c.principal, account, lock.RenewRequest{Origin: c.origin(), Name: p.Lock, TTL: ttl})
	case core.HookBreak:
		return a.service.BreakQuestion(c.principal, account, lock.BreakRequest{Origin: c.origin(), Name: p.Lock, Cause: p.Text(param.Reason)})
	}
	asked, err := acquireRequest(c, p)
	if err != nil {
		return core.Question{}, err
	}
	return a.service.AcquireQuestion(c.principal, account, asked)
}

// explainedHook returns the hook to explain. Parameters of other hooks are refused, as the
// policies would not see them.
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

package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/transport/api"
)

// Policies are what rules over a server, for those who look after it.
type Policies interface {
	// List returns the policies of the manifest, those that are off included.
	List() api.PolicyList
	// Reload loads everything again and returns what changed, in words, or leaves
	// everything as it was and returns an [*input.Error] that says why.
	Reload(ctx context.Context) (changes string, err error)
	// Explain returns what every policy would say to a question if it were the time at (zero:
	// now), and does not count or record it. The error is that of ctx, or that the policies
	// are closed.
	Explain(ctx context.Context, q core.Question, at time.Time) (api.Explanation, error)
}

// noPolicies is a server without policies.
type noPolicies struct{}

func (noPolicies) List() api.PolicyList { return api.PolicyList{Policies: []api.Policy{}} }

func (noPolicies) Reload(context.Context) (string, error) {
	return "", &input.Error{Field: "policies", Problem: "are not configured", Want: "OCTOSTORE_POLICIES to name a policies.json"}
}

func (noPolicies) Explain(_ context.Context, q core.Question, _ time.Time) (api.Explanation, error) {
	return api.Explanation{Name: string(q.Asked.Name), Account: q.Asked.Actor.Account, Verdict: "allow", Policies: []api.Explained{}}, nil
}

// listPolicies shows the policies.
func (x *exchange) listPolicies() error {
	if err := core.MayAll(x.who, "see the policies", auth.Policies); err != nil {
		return err
	}
	return x.json(x.api.policies.List())
}

// reloadPolicies loads all policies again: a whole new set or nothing.
func (x *exchange) reloadPolicies() error {
	if err := core.MayAll(x.who, "reload the policies", auth.Policies); err != nil {
		return err
	}
	changes, err := x.api.policies.Reload(x.context())
	if err != nil {
		return err
	}
	return x.json(api.Reloaded{Changes: changes})
}

// json answers with what is asked for too seldom to be encoded by hand.
func (x *exchange) json(v any) error {
	if err := x.encode(v); err != nil {
		return err
	}
	x.reply(http.StatusOK, typeJSON)
	return nil
}

// encode makes v the answer to be written.
func (x *exchange) encode(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	x.buf = append(append(x.buf[:0], b...), '\n')
	return nil
}

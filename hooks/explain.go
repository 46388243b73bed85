package hooks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/pattern"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Explanation is the answer that all policies would give to a question.
type Explanation struct {
	Policies []Explained // in the order of the manifest
	// Refusal is the error that the request would get: a [*core.DeniedError] or a
	// [*core.PolicyError]; nil: none.
	Refusal error
	// Priority is the priority of the request if it has to wait: front, normal or back; empty: no
	// enforcing policy sets it.
	Priority string
}

// Explained is one policy in an explanation.
type Explained struct {
	Policy
	Digest string  // SHA-256 of the module, in hex; empty: it is off, and not loaded
	Asked  bool    // it covers the question
	Why    string  // why it covers the question, or not, in words
	Said   Outcome // its answer; zero if Asked is false
}

// Explain evaluates every policy that covers a question, as [Host.Judge] does, but without effects: it
// counts no calls, and returns the log lines of policies in their outcomes. The policies see at as
// the time; zero means now. The error is that of ctx, or says that the host is closed.
func (h *Host) Explain(ctx context.Context, q core.Question, at time.Time) (Explanation, error) {
	s := h.enter()
	if s == nil {
		return Explanation{}, errClosed
	}
	defer h.leave(s)
	if at.IsZero() {
		at = time.Now()
	}
	all := Explanation{Policies: []Explained{}}
	var together core.Decision
	for _, p := range s.policies {
		e := Explained{Policy: p.Policy, Digest: p.digest}
		if e.Asked, e.Why = p.concerns(q); e.Asked {
			o, lines, err := p.explain(ctx, q, at)
			if err != nil {
				return Explanation{}, err
			}
			e.Said = outcomeOf(o, q)
			e.Said.Logs = lines
			if p.Mode == manifest.Enforce {
				all.Refusal = stronger(all.Refusal, p.refusal(o))
				combine(&together, o)
			}
		}
		all.Policies = append(all.Policies, e)
	}
	all.Policies = withOff(all.Policies, s.off, func(p manifest.Policy) Explained { return Explained{Policy: p, Why: "its mode is off"} })
	if together.SetPriority {
		all.Priority = together.Priority.String()
	}
	return all, nil
}

// concerns reports whether the policy covers a question, and why.
func (p *policy) concerns(q core.Question) (bool, string) {
	if !slices.Contains(p.Hooks, q.Hook) {
		return false, fmt.Sprintf("its hooks are %v", p.Hooks)
	}
	decides := p.deciding(q.Asked.Name)
	switch {
	case decides == "":
		return false, "none of its patterns matches"
	case !p.Matches(q.Asked.Name):
		return false, fmt.Sprintf("%q excludes the name", decides)
	}
	return true, fmt.Sprintf("%q matches", decides)
}

// deciding returns the pattern that decides about a name: the last that matches it alone; empty: none
// does.
func (p *policy) deciding(name lock.Name) string {
	for _, text := range slices.Backward(p.Match) {
		alone := []string{text}
		if text[0] == '!' {
			alone = []string{text[1:]}
		}
		if ps, err := pattern.Parse(alone); err == nil && ps.Match(name) {
			return text
		}
	}
	return ""
}

// explain asks the policy a question, and counts nothing.
func (p *policy) explain(ctx context.Context, q core.Question, at time.Time) (guest.Answer, []LogLine, error) {
	if f := p.breaker.peek(); f != nil {
		return guest.Answer{Fault: f}, nil, nil
	}
	if err := p.engine.slots.take(ctx, false); err != nil {
		return guest.Answer{}, nil, err
	}
	defer p.engine.slots.done(false)
	var lines []LogLine
	j := &judgement{Request: guest.NewRequest(q, at), patient: true}
	j.Heard = func(level int32, text string) { lines = append(lines, LogLine{level, text}) }
	return p.run(j), lines, nil
}

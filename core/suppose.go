package core

import (
	"cmp"
	"fmt"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
)

// SupposeRenew returns what the guard would be asked if the holder's account renewed the
// present lease now, as [Service.Suppose] does of an acquire. Only that account can renew;
// account is empty or that one. Errors: [*input.Error], [*ForbiddenError],
// [lock.ErrFree].
func (s *Service) RenewQuestion(p auth.Principal, account string, r lock.RenewRequest) (Question, error) {
	if r.TTL != 0 {
		if err := lock.CheckTTL(r.TTL, s.cfg.MaxTTL); err != nil {
			return Question{}, err
		}
	}
	view, err := s.supposedView(p, r.Name)
	if err != nil {
		return Question{}, err
	}
	holds := view.Lease.Account
	if account != "" && account != holds {
		return Question{}, &input.Error{
			Field: "account", Problem: fmt.Sprintf("is %q, which does not hold the lock", account), Want: fmt.Sprintf("%q, or leave it out", holds),
		}
	}
	if err := mayAskFor(p, holds); err != nil {
		return Question{}, err
	}
	a := ofLease(withPrincipal(supposed(p, holds), r.Origin), view.Lease)
	a.TTL = cmp.Or(r.TTL, a.TTL)
	return s.question(HookRenew, PhaseRequest, a, view), nil
}

// SupposeBreak returns what the guard would be asked if an account broke the present
// lease now, as [Service.Suppose] does of an acquire; empty is the principal's own. Errors:
// [*input.Error], [*ForbiddenError], [lock.ErrFree].
func (s *Service) BreakQuestion(p auth.Principal, account string, b lock.BreakRequest) (Question, error) {
	if err := input.CheckText("reason", b.Cause, lock.MaxReason); err != nil {
		return Question{}, err
	}
	account = cmp.Or(account, p.Account)
	view, err := s.supposedView(p, b.Name)
	if err != nil {
		return Question{}, err
	}
	if err := mayAskFor(p, account); err != nil {
		return Question{}, err
	}
	a := ofLease(withPrincipal(supposed(p, account), b.Origin), view.Lease)
	a.Reason = b.Cause
	return s.question(HookBreak, PhaseRequest, a, view), nil
}

// supposedView returns the lock whose lease a request would be about.
func (s *Service) supposedView(p auth.Principal, name lock.Name) (lock.View, error) {
	if err := may(p, "read", auth.Read, name); err != nil {
		return lock.View{}, err
	}
	view := s.table.Get(name)
	if view.Lease == nil {
		return lock.View{}, lock.ErrFree
	}
	return view, nil
}

// mayAskFor returns a [*ForbiddenError] unless the principal may ask what policies would
// say to an account: they see how many locks it holds, and may tell.
func mayAskFor(p auth.Principal, account string) error {
	if account == p.Account {
		return nil
	}
	return MayAll(p, "ask about another account", auth.Read)
}

// supposed is an account as policies are told of it. Memberships are known of the
// principal's own only.
func supposed(p auth.Principal, account string) auth.Principal {
	asks := auth.Principal{Account: account}
	if account == p.Account {
		asks.Groups = p.Groups
	}
	return asks
}

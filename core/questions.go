package core

import (
	"cmp"
	"fmt"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
)

// AcquireQuestion returns the question that the guard would be asked if an account sent this
// request now; an empty account is that of the principal. Nothing is done or recorded.
//
// The answers of policies can reveal the holder of the lock and how many locks the account
// holds. So the principal needs the right to read the lock, and for another account the
// right to read all locks. A policy may reveal other locks that its manifest lets it read to
// every account that may acquire the lock, so these need no more rights.
// Errors: [*input.Error], [*ForbiddenError].
func (s *Service) AcquireQuestion(p auth.Principal, account string, r AcquireRequest) (Question, error) {
	account = cmp.Or(account, p.Account)
	if err := may(p, "read", auth.Read, r.Name); err != nil {
		return Question{}, err
	}
	if err := mayAskFor(p, account); err != nil {
		return Question{}, err
	}
	a, err := s.acquisition(supposed(p, account), &r)
	if err != nil {
		return Question{}, err
	}
	return s.question(HookAcquire, PhaseRequest, *a, s.table.Get(a.Name)), nil
}

// RenewQuestion is [Service.AcquireQuestion] for a renewal of the present lease. Only the
// account of the lease can renew, so account is that one or empty. Errors:
// [*input.Error], [*ForbiddenError], [lock.ErrFree].
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

// BreakQuestion is [Service.AcquireQuestion] for a break of the present lease. Errors:
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

// supposedView returns the view of a lock with a lease.
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

// mayAskFor returns a [*ForbiddenError] unless the principal may ask how policies judge an
// account: policies see how many locks it holds, and can reveal it.
func mayAskFor(p auth.Principal, account string) error {
	if account == p.Account {
		return nil
	}
	return MayAll(p, "ask about another account", auth.Read)
}

// supposed returns an account as policies see it. Groups are known only for the account of
// the principal.
func supposed(p auth.Principal, account string) auth.Principal {
	asks := auth.Principal{Account: account}
	if account == p.Account {
		asks.Groups = p.Groups
	}
	return asks
}

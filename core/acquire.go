package core

import (
	"context"
	"errors"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// Asked is an acquire whose answer is still to be waited for.
type Asked struct {
	service *Service
	table   table.Asked
	name    lock.Name
	grant   *table.Grant      // not nil: the answer, and there is nothing to wait for
	judged  *lock.Acquisition // the request for the record of a refusal at its turn; nil: it is not judged then
}

// Ask is the first half of [Service.Acquire], which does not wait for the lock: a request that
// waits keeps only the stack of [Asked.Wait]. The caller calls Wait once, at once. Errors: those
// of Acquire.
func (s *Service) Ask(ctx context.Context, p auth.Principal, r *AcquireRequest) (Asked, error) {
	a, err := s.acquisition(p, r)
	if err != nil {
		return Asked{}, err
	}
	if err := may(p, "acquire", auth.Acquire, r.Name); err != nil {
		return Asked{}, err
	}
	asked, err := s.ask(ctx, a)
	if err != nil {
		return Asked{}, forReader(&p, r.Name, err)
	}
	return asked, nil
}

// WaitBriefly is [Asked.Wait] for at most a while, see [table.Asked.WaitBriefly].
func (a *Asked) WaitBriefly(ctx context.Context, most time.Duration) (answered bool) {
	return a.grant != nil || a.table.WaitBriefly(ctx, most)
}

// Park lets a request wait without a goroutine after WaitBriefly has returned false, see
// [table.Asked.Park].
func (a *Asked) Park(watch func(wake func()) (stop func() bool), resume func()) bool {
	return a.table.Park(watch, resume)
}

// Unpark ends that, see [table.Asked.Unpark].
func (a *Asked) Unpark() (answering bool) { return a.table.Unpark() }

// Wait is the second half of [Service.Acquire], for the same principal.
func (a *Asked) Wait(ctx context.Context, p *auth.Principal) (table.Grant, error) {
	if a.grant != nil {
		return *a.grant, nil
	}
	g, err := a.table.Wait(ctx)
	if err != nil {
		return table.Grant{}, forReader(p, a.name, a.recorded(ctx, err))
	}
	return g, nil
}

// forReader returns a refusal without the holder for a principal that may not read the lock.
func forReader(p *auth.Principal, name lock.Name, err error) error {
	if p.May(auth.Read, name) {
		return err
	}
	return withoutHolder(err)
}

// withoutHolder returns a refusal for an account that may not read the lock.
func withoutHolder(err error) error {
	hidden := func(e lock.HeldError) lock.HeldError {
		return lock.HeldError{Position: e.Position, Waiters: e.Waiters, Waited: e.Waited, Hidden: true}
	}
	if superseded, is := errors.AsType[*lock.SupersededError](err); is {
		return &lock.SupersededError{Held: hidden(superseded.Held)}
	}
	if held, is := errors.AsType[*lock.HeldError](err); is {
		without := hidden(*held)
		return &without
	}
	return err
}

func (s *Service) ask(ctx context.Context, a *lock.Acquisition) (Asked, error) {
	if s.cfg.Guard.Covers(HookAcquire, a.Name) {
		return s.askJudged(ctx, a)
	}
	if s.judges {
		return s.askAtTurn(ctx, a, a)
	}
	asked, err := s.table.Ask(ctx, a, nil)
	return Asked{service: s, table: asked, name: a.Name}, err
}

package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"
)

// Campaign is an election of one leader among many candidates: the leader is the holder of a lock.
// Candidates are elected in the order in which they came. Its methods may be called by any
// goroutine.
type Campaign struct {
	c    *Client
	name string
	o    AcquireOptions
}

// NewCampaign returns the election for which the lock of that name stands. The Holder of the
// options names the candidate, and their TTL says for how long a leader that has crashed still
// counts as one. Wait and Key are not used: a candidate waits as long as it takes, and every
// candidacy is a new one.
func (c *Client) NewCampaign(name string, o AcquireOptions) *Campaign {
	o.Wait, o.Key = -1, ""
	return &Campaign{c: c, name: name, o: o}
}

// Win waits until this candidate is the leader. It leads until [Lease.Context] ends, and resigns
// by [Lease.Release]. Errors are those of [Client.Acquire].
func (e *Campaign) Win(ctx context.Context) (*Lease, error) { return e.c.Acquire(ctx, e.name, e.o) }

// Lead waits until this candidate is the leader, and then calls lead. The context of that ends
// with ctx, and before another candidate can be elected: whatever only a leader may do has to stop
// then, at the latest [AcquireOptions].Margin later. When lead returns, the candidate resigns. If
// the leadership was lost while lead ran, Lead waits for the next one; otherwise it returns what
// lead returned, or the error by which the candidacy failed.
func (e *Campaign) Lead(ctx context.Context, lead func(ctx context.Context, l *Lease) error) error {
	for {
		l, err := e.Win(ctx)
		if err != nil {
			return err
		}
		err = e.term(ctx, l, lead)
		if _, lost := errors.AsType[*LostError](context.Cause(l.Context())); !lost || ctx.Err() != nil {
			return err
		}
	}
}

// term is one leadership.
func (e *Campaign) term(ctx context.Context, l *Lease, lead func(ctx context.Context, l *Lease) error) error {
	leads, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := context.AfterFunc(l.Context(), func() { end(context.Cause(l.Context())) })
	defer func() {
		stop()
		_ = l.Release(context.WithoutCancel(ctx)) // else it ends by itself
	}()
	return lead(leads, l)
}

// Leader is the leader of an election at some time. The zero Leader is none.
type Leader struct {
	Holder, Account string
	Metadata        map[string]string
	// FencingToken is greater than that of every leader before. A request that carries it can be
	// refused once there is a newer leader.
	FencingToken uint64
	Since        time.Time
}

// Leader returns the present leader, or the zero Leader, or an error if the answer does not come in
// ten seconds. It needs the scope read for the lock, as Observe does.
func (e *Campaign) Leader(ctx context.Context) (Leader, error) {
	lock, err := e.c.lockSoon(ctx, e.name)
	if err != nil || lock.Lease == nil {
		return Leader{}, err
	}
	l := lock.Lease
	return Leader{Holder: l.Holder, Account: l.Account, Metadata: l.Metadata, FencingToken: l.FencingToken, Since: l.GrantedAt}, nil
}

// Observe streams the leaders: the present one, and then each change, the zero Leader included
// while there is none. It may leave out one that led for a moment only. It goes on over outages,
// and ends with the error of ctx, or one that another request cannot cure.
func (e *Campaign) Observe(ctx context.Context) iter.Seq2[Leader, error] {
	return func(yield func(Leader, error) bool) {
		o := observation{e: e, yield: yield}
		for failures := 0; ; failures++ {
			err := o.watch(ctx)
			if err == nil {
				return // the caller has enough
			}
			if errors.Is(err, ErrCursorExpired) || errors.Is(err, ErrInvalid) && o.after != "" {
				o.after = "" // of a database that was replaced; what was missed is read
			} else if !waitedOut(err) || !pause(ctx, max(backoff(failures), retryAfter(err))) {
				yield(Leader{}, err)
				return
			}
		}
	}
}

// observation is the state of Observe.
type observation struct {
	e     *Campaign
	yield func(Leader, error) bool
	after string // cursor
	known bool   // last is known
	last  Leader
}

// watch looks at the leader at the beginning and after each event that may have changed it. It
// returns nil once the caller has enough.
func (o *observation) watch(ctx context.Context) error {
	begun := false
	for event, err := range o.e.c.Watch(ctx, WatchQuery{Prefix: o.e.name, After: o.after}) {
		if err != nil {
			return err
		}
		if begun && !o.e.elects(event) {
			o.after = event.ID
			continue
		}
		leader, err := o.e.Leader(ctx)
		if err != nil {
			return err
		}
		begun, o.after = true, event.ID
		if o.known && leader.FencingToken == o.last.FencingToken {
			continue
		}
		if o.known, o.last = true, leader; !o.yield(leader, nil) {
			return nil
		}
	}
	return nil
}

// elects reports whether an event may have changed the leader.
func (e *Campaign) elects(event WatchEvent) bool {
	var about struct{ Name string }
	return event.Kind == KindGap || slices.Contains([]string{"granted", "released", "expired", "broken", "undone"}, event.Kind) &&
		json.Unmarshal(event.Data, &about) == nil && about.Name == e.name
}

package locktest

import (
	"fmt"
	"testing"
	"time"
)

// Coverage counts the cases in histories: a check proves nothing about a case that its
// workload never tries.
type Coverage struct {
	Operations, Grants, Repeats, Unknown, Stale, Lapsed, Early, Abandoned, Again, Broken, Restarts int

	Confirmed, Unconfirmed int // unconfirmed leases that were renewed, and that were found to be over instead
}

// Cover returns the counts of a history.
func (h *History) Cover() Coverage {
	c := Coverage{Operations: len(h.ops), Restarts: len(h.restarts)}
	lapse := map[uint64]time.Duration{} // until when each lease lasts at least
	newest := map[string]uint64{}       // of each lock
	granted, released, ended := map[uint64]int{}, map[uint64]bool{}, map[uint64]bool{}
	unconfirmed := map[uint64]bool{}
	for _, op := range h.ops { // in the order of their ends
		o := &op.Outcome
		over := op.began >= lapse[op.Token]
		stale := op.Token != 0 && op.Token < newest[op.Lock]
		switch {
		case op.Waits && o.HungUp:
			c.Abandoned++
		case o.Result == Unknown && !o.HungUp:
			c.Unknown++
		case o.Result == NotHeld && op.Do == Renew && over && !ended[op.Token]:
			c.Lapsed++
		case o.Result == NotHeld && stale:
			c.Stale++
		case o.Result != Done:
		case op.Do == Release && released[op.Token]:
			c.Again++
		case op.Do == Release && !over:
			c.Early++
			released[op.Token] = true
		case op.Do == Break:
			c.Broken++
		case op.Do == Acquire && granted[o.Token] > 0:
			c.Repeats++
		case op.Do == Acquire:
			c.Grants++
		}
		if unconfirmed[op.Token] && (op.Do == Renew || op.Do == Release) && (o.Result == Done || o.Result == NotHeld) {
			switch {
			case o.Result == NotHeld && !ended[op.Token]:
				c.Unconfirmed++
			case op.Do == Renew && o.Result == Done:
				c.Confirmed++
			}
			delete(unconfirmed, op.Token)
		}
		if o.Result == Done && o.Unconfirmed {
			unconfirmed[o.Token] = true
		}
		if o.Result == Done && (op.Do == Release || op.Do == Break) {
			ended[op.Token] = true
		}
		if o.Result == Done && (op.Do == Acquire || op.Do == Renew) {
			granted[o.Token]++
			newest[op.Lock] = max(newest[op.Lock], o.Token)
			lapse[o.Token] = max(lapse[o.Token], op.earliest)
		}
	}
	return c
}

// Add adds the counts of another history.
func (c *Coverage) Add(d Coverage) {
	c.Operations += d.Operations
	c.Grants += d.Grants
	c.Repeats += d.Repeats
	c.Unknown += d.Unknown
	c.Stale += d.Stale
	c.Lapsed += d.Lapsed
	c.Early += d.Early
	c.Abandoned += d.Abandoned
	c.Again += d.Again
	c.Broken += d.Broken
	c.Restarts += d.Restarts
	c.Confirmed += d.Confirmed
	c.Unconfirmed += d.Unconfirmed
}

// MustBeComplete fails the test if there is something the workload did not try.
func (c Coverage) MustBeComplete(t testing.TB) {
	t.Helper()
	for what, n := range map[string]int{
		"grants": c.Grants, "repeats with the same key": c.Repeats, "unknown outcomes": c.Unknown,
		"stale tokens": c.Stale, "lapsed renewals": c.Lapsed, "early releases": c.Early,
		"abandoned waits": c.Abandoned, "releases told again": c.Again, "broken leases": c.Broken, "restarts": c.Restarts,
		"confirmed leases": c.Confirmed,
	} {
		if n == 0 {
			t.Errorf("the workload has no %s", what)
		}
	}
}

// String lists the counts.
func (c Coverage) String() string {
	return fmt.Sprintf(
		"%d operations: %d grants, %d repeats, %d unknown outcomes, %d stale tokens, %d lapsed renewals, "+
			"%d early releases, %d abandoned waits, %d releases told again, %d broken leases, %d restarts, %d leases confirmed, %d not in time",
		c.Operations,
		c.Grants,
		c.Repeats,
		c.Unknown,
		c.Stale,
		c.Lapsed,
		c.Early,
		c.Abandoned,
		c.Again,
		c.Broken,
		c.Restarts,
		c.Confirmed,
		c.Unconfirmed,
	)
}

package main

import "time"

// calendar is when locks are given at all: in open hours, and not on holidays. The zero
// calendar is always open.
type calendar struct {
	open     []again // none: all hours
	holidays []dates
	zone     *zone // of the holidays
}

// at says whether an instant is on a holiday or outside of open hours, when it opens
// next, and why it is closed.
func (c *calendar) at(now time.Time) (until time.Time, why string, closed bool) {
	at := now.Unix()
	for range mostJoined {
		next, reason, is := c.closed(at)
		if !is {
			break
		}
		if !closed {
			why, closed = reason, true
		}
		at = next
	}
	if !closed {
		return until, "", false
	}
	return c.zone.local(at), why, true
}

// closed says whether an instant is on a holiday or outside of open hours, when that holiday
// ends or the hours begin, and why.
func (c *calendar) closed(now int64) (until int64, why string, is bool) {
	if end, name, on := c.holiday(now); on {
		return end, name, true
	}
	if c.open == nil {
		return 0, "", false
	}
	for i := range c.open {
		if _, open := c.open[i].at(now); open {
			return 0, "", false
		}
		if next := c.open[i].next(now); until == 0 || next < until {
			until = next
		}
	}
	return until, ": outside of open hours", true
}

// holiday says whether an instant is on a holiday, when that day ends, and its name.
func (c *calendar) holiday(now int64) (end int64, name string, on bool) {
	if c.holidays == nil {
		return 0, "", false
	}
	today, _ := c.zone.shown(now)
	inYear := today.inYear()
	for i := range c.holidays {
		if h := &c.holidays[i]; h.have(today, inYear) {
			return c.zone.latest(today+1, 0), h.name, true
		}
	}
	return 0, "", false
}

// next is the beginning of the first occurrence after an instant, which is within eight
// days for one that has weekdays.
func (a *again) next(now int64) int64 {
	today, _ := a.zone.shown(now)
	for d := today; d <= today+8; d++ {
		if !a.begins(d) {
			continue
		}
		if at := a.zone.earliest(d, a.start); at > now {
			return at
		}
	}
	return now + 8*perDay
}

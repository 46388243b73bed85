package main

import "time"

// window is a time in which nothing is given: once, or again and again.
type window struct {
	from, until time.Time // the window counts between them; no from: since ever; no until: for ever
	reason      string    // as it stands behind the end
	again       *again    // nil: once, from until until
}

// again is what begins on some days at an hour, as the clocks of a zone show it.
type again struct {
	days       [7]bool // by weekday, Sunday first
	dates      []dates
	start, end int64 // seconds after midnight
	span       day   // from the day of the beginning to that of the end
	zone       *zone
}

// mostJoined bounds how many occurrences in a row are told as one.
const mostJoined = 62

// at says whether an instant is in the window, and when that ends. Occurrences without a
// gap between them are one.
func (w *window) at(now time.Time) (until time.Time, frozen bool) {
	if now.Before(w.from) || !w.until.IsZero() && !now.Before(w.until) {
		return until, false
	}
	if w.again == nil {
		return w.until, true
	}
	end, frozen := w.again.at(now.Unix())
	if !frozen {
		return until, false
	}
	for range mostJoined {
		next, on := w.again.at(end)
		if !on {
			break
		}
		end = next
	}
	if until = w.again.zone.local(end); !w.until.IsZero() && w.until.Before(until) {
		until = w.again.zone.local(w.until.Unix())
	}
	return until, true
}

// at is the occurrence of an instant: of those there are, the one that ends last.
func (a *again) at(now int64) (end int64, on bool) {
	today, _ := a.zone.shown(now)
	for d := today - a.span; d <= today; d++ {
		if !a.begins(d) || now < a.zone.earliest(d, a.start) {
			continue
		}
		if until := a.zone.latest(d+a.span, a.end); now < until && until > end {
			end, on = until, true
		}
	}
	return end, on
}

// begins reports whether one begins on a day.
func (a *again) begins(d day) bool {
	if a.dates == nil {
		return a.days[d.weekday()]
	}
	inYear := d.inYear()
	for i := range a.dates {
		if a.dates[i].have(d, inYear) {
			return true
		}
	}
	return false
}

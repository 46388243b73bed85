package main

import (
	"strconv"
	"time"

	"github.com/octostore/octostore/plugins/guest/strict"
)

const week = 7 * 24 * time.Hour

// window is a time in which nothing is given: once, or every week.
type window struct {
	from, until time.Time // once; no from: since ever
	reason      string    // as it stands behind the end

	start, length time.Duration // weekly: since Sunday 00:00; no length: once
	zone          *time.Location
}

func readWindow(o *strict.Object) window {
	w := window{}
	if reason := o.Text("reason"); reason != "" {
		w.reason = ": " + reason
	}
	if o.Has("weekly") {
		w.readWeekly(o)
		return w
	}
	o.Need("until", "weekly")
	w.from, w.until = o.Time("from"), o.Time("until")
	if o.Has("from") && !w.from.Before(w.until) {
		o.Fail("from", "is not before until; want an earlier time")
	}
	return w
}

func (w *window) readWeekly(o *strict.Object) {
	w.zone = zone(o)
	ends := o.Texts("weekly")
	if len(ends) != 2 {
		o.Fail("weekly", "has "+strconv.Itoa(len(ends))+` members; want two, such as ["Fri 16:00", "Mon 08:00"]`)
		return
	}
	start, ok := sinceSunday(ends[0])
	end, too := sinceSunday(ends[1])
	if !ok || !too || start == end {
		o.Fail("weekly", "is from "+strconv.Quote(ends[0])+" to "+strconv.Quote(ends[1])+
			`; want two different days and times, such as ["Fri 16:00", "Mon 08:00"]`)
		return
	}
	w.start, w.length = start, (end-start+week)%week
}

// zone is a fixed one: a guest has no table of time zones.
func zone(o *strict.Object) *time.Location {
	text := o.Text("utc_offset")
	if text == "" {
		return time.UTC
	}
	t, err := time.Parse("-07:00", text)
	if err != nil {
		o.Fail("utc_offset", "is "+strconv.Quote(text)+`; want one such as "+01:00"`)
	}
	_, seconds := t.Zone()
	return time.FixedZone("", seconds)
}

// sinceSunday reads a time of the week, such as "Fri 16:00".
func sinceSunday(text string) (time.Duration, bool) {
	for day, name := range [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} {
		if len(text) != len("Fri 16:00") || text[:len(name)] != name {
			continue
		}
		at, err := time.Parse(" 15:04", text[len(name):])
		return time.Duration(day*24+at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, err == nil
	}
	return 0, false
}

// at says whether an instant is in the window, and when that ends.
func (w *window) at(now time.Time) (until time.Time, frozen bool) {
	if w.length == 0 {
		return w.until, !now.Before(w.from) && now.Before(w.until)
	}
	now = now.In(w.zone)
	sunday := time.Date(now.Year(), now.Month(), now.Day()-int(now.Weekday()), 0, 0, 0, 0, w.zone)
	since := (now.Sub(sunday.Add(w.start)) + week) % week // it may have begun in the week before
	return now.Add(w.length - since), since < w.length
}

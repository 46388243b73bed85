package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/plugins/guest/strict"
)

// readWindow reads a window, which has to have one of the members that are needed. zone is
// that of the whole configuration, nil if it names none.
func readWindow(o *strict.Object, zone *time.Location, needs ...string) window {
	w := window{}
	if reason := o.Text("reason"); reason != "" {
		w.reason = ": " + reason
	}
	recurs := o.Has("weekly") || o.Has("days") || o.Has("dates")
	if recurs || o.Has("zone") {
		zone = readZone(o, zone)
	}
	if recurs {
		w.again = readAgain(o, zone)
		w.until = readInstant(o, "until", zone)
		return w
	}
	o.Need(needs...)
	w.from, w.until = readInstant(o, "from", zone), readInstant(o, "until", zone)
	if o.Has("from") && !w.from.Before(w.until) {
		o.Fail("from", "is not before until; want an earlier time")
	}
	return w
}

// readAgain reads what begins on weekdays or dates.
func readAgain(o *strict.Object, zone *time.Location) *again {
	a := &again{zone: newZone(zone)}
	forms := 0
	for _, form := range [...]string{"weekly", "days", "dates"} {
		if !o.Has(form) {
			continue
		}
		if forms++; forms > 1 {
			o.Fail(form, "is there beside another one of weekly, days and dates; want one of them")
		}
	}
	if o.Has("weekly") {
		a.readWeekly(o)
		return a
	}
	if o.Has("days") {
		a.readDays(o)
	}
	a.dates = readDates(o, "dates")
	a.start, a.end = readClock(o, "from", 0), readClock(o, "to", perDay)
	if a.end <= a.start {
		a.span = 1
	}
	return a
}

// readZone reads the zone of times without an offset; otherwise, if none is named.
func readZone(o *strict.Object, otherwise *time.Location) *time.Location {
	if o.Has("zone") && o.Has("utc_offset") {
		o.Fail("utc_offset", "is there beside zone; want one of them")
	}
	if o.Has("zone") {
		name := o.Text("zone")
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" || name == "Local" {
			o.Fail("zone", "is "+strconv.Quote(name)+`, which is not known; want an IANA time zone such as "Europe/Berlin"`)
			return otherwise
		}
		return zone
	}
	text := o.Text("utc_offset")
	if text == "" {
		return otherwise
	}
	t, err := time.Parse("-07:00", text)
	if err != nil {
		o.Fail("utc_offset", "is "+strconv.Quote(text)+`; want one such as "+01:00"`)
	}
	_, seconds := t.Zone()
	return time.FixedZone("local", seconds)
}

// readInstant reads an instant. Where a zone is named it may be without an offset.
func readInstant(o *strict.Object, name string, zone *time.Location) time.Time {
	if zone == nil || !o.Has(name) {
		return o.Time(name)
	}
	text := o.Text(name)
	for _, form := range [...]string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, zone); err == nil {
			return at
		}
	}
	o.Fail(name, "is "+strconv.Quote(text)+`; want a time such as "2026-12-24T08:00:00Z", or in the zone "2026-12-24 08:00" or "2026-12-24"`)
	return time.Time{}
}

// readWeekly reads two times of the week.
func (a *again) readWeekly(o *strict.Object) {
	ends := o.Texts("weekly")
	if len(ends) != 2 {
		o.Fail("weekly", "has "+strconv.Itoa(len(ends))+` members; want two, such as ["Fri 16:00", "Mon 08:00"]`)
		return
	}
	first, start, ok := parseWeekTime(ends[0])
	last, end, too := parseWeekTime(ends[1])
	if !ok || !too || first == last && start == end {
		o.Fail("weekly", "is from "+strconv.Quote(ends[0])+" to "+strconv.Quote(ends[1])+
			`; want two different days and times, such as ["Fri 16:00", "Mon 08:00"]`)
		return
	}
	a.days[first], a.start, a.end, a.span = true, start, end, day((last-first+7)%7)
	if a.span == 0 && end < start {
		a.span = 7
	}
}

// parseWeekTime reads a time of the week, such as "Fri 16:00".
func parseWeekTime(text string) (weekday int, seconds int64, ok bool) {
	name, clock, _ := strings.Cut(text, " ")
	weekday, known := parseWeekday(name)
	seconds, good := parseClock(clock)
	return weekday, seconds, known && good && seconds < perDay
}

// parseWeekday reads the first three letters of a weekday's English name.
func parseWeekday(name string) (weekday int, ok bool) {
	for i, known := range [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} {
		if len(name) == len(known) && strings.EqualFold(name, known) {
			return i, true
		}
	}
	return 0, false
}

// readDays reads "mon-fri", "sat,sun" or "daily".
func (a *again) readDays(o *strict.Object) {
	text := o.Text("days")
	if text == "daily" {
		text = "sun-sat"
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranges := strings.Cut(strings.TrimSpace(part), "-")
		first, ok := parseWeekday(from)
		last := first
		if ranges {
			var too bool
			last, too = parseWeekday(to)
			ok = ok && too
		}
		if !ok {
			o.Fail("days", "is "+strconv.Quote(text)+`; want weekdays such as "mon-fri" or "sat,sun", or "daily"`)
			return
		}
		for d := first; ; d = (d + 1) % 7 {
			a.days[d] = true
			if d == last {
				break
			}
		}
	}
}

// readClock reads a time of the day, in seconds.
func readClock(o *strict.Object, name string, otherwise int64) int64 {
	if !o.Has(name) {
		return otherwise
	}
	text := o.Text(name)
	seconds, ok := parseClock(text)
	if !ok || seconds == perDay && name == "from" {
		o.Fail(name, "is "+strconv.Quote(text)+`; want a time of the day such as "18:00"`)
	}
	return seconds
}

// parseClock reads "08:00" to "24:00".
func parseClock(text string) (seconds int64, ok bool) {
	if text == "24:00" {
		return perDay, true
	}
	at, err := time.Parse("15:04", text)
	return int64(at.Hour()*60+at.Minute()) * 60, err == nil && len(text) == len("15:04")
}

// readDates reads a list of dates.
func readDates(o *strict.Object, name string) (all []dates) {
	for i, text := range o.Texts(name) {
		r, ok := parseDates(text)
		if !ok {
			o.Fail(name+"["+strconv.Itoa(i)+"]", "is "+strconv.Quote(text)+
				`; want "2026-12-24", "2026-12-24/2027-01-02", or "12-24" for every year, with a name after a space if you like`)
		}
		all = append(all, r)
	}
	return all
}

// readCalendar reads open hours and holidays.
func readCalendar(o *strict.Object, zone *time.Location) calendar {
	c := calendar{zone: newZone(zone), holidays: readDates(o, "holidays")}
	for i := range c.holidays {
		h := &c.holidays[i]
		if h.name == "" {
			h.name = "holiday"
		}
		h.name = ": " + h.name
	}
	if !o.Has("open") {
		return c
	}
	o.Objects("open", func(o *strict.Object) {
		a := again{zone: newZone(readZone(o, zone))}
		o.Need("days")
		if o.Has("days") {
			a.readDays(o)
		}
		if a.start, a.end = readClock(o, "from", 0), readClock(o, "to", perDay); a.end <= a.start {
			a.span = 1
		}
		c.open = append(c.open, a)
	})
	return c
}

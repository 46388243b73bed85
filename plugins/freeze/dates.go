package main

import (
	"strings"
	"time"
)

const perDay = 24 * 60 * 60 // seconds

// day is a date: days since 1970.
type day int64

// weekday counts from Sunday.
func (d day) weekday() int { return int(((d+4)%7 + 7) % 7) } // 1970 began with a Thursday

// inYear puts the days of a year in order.
func (d day) inYear() int {
	_, month, n := time.Unix(int64(d)*perDay, 0).UTC().Date()
	return int(month)*100 + n
}

// dates are the days from one to another, both included: once, or in every year.
type dates struct {
	from, to day
	yearly   bool
	first    int // of yearly, as day.inYear has them
	last     int
	name     string // what is shown; may be empty
}

// have reports whether a day is one of them; inYear is its place in the year.
func (r *dates) have(d day, inYear int) bool {
	switch {
	case !r.yearly:
		return r.from <= d && d <= r.to
	case r.first > r.last: // over the end of the year
		return inYear >= r.first || inYear <= r.last
	}
	return r.first <= inYear && inYear <= r.last
}

// parseDates reads "2026-12-24", "2026-12-24/2027-01-02", or without years for every year,
// and a name after a space.
func parseDates(text string) (r dates, ok bool) {
	span, name, _ := strings.Cut(text, " ")
	first, last, ranges := strings.Cut(span, "/")
	if !ranges {
		last = first
	}
	from, yearly, ok := parseDate(first)
	to, too, good := parseDate(last)
	r = dates{from: from, to: to, yearly: yearly, first: from.inYear(), last: to.inYear(), name: name}
	return r, ok && good && yearly == too && (yearly || from <= to)
}

// parseDate reads a date; one of every year is that of a leap year.
func parseDate(text string) (d day, yearly, ok bool) {
	if yearly = len(text) == len("12-24"); yearly {
		text = "2000-" + text
	}
	at, err := time.Parse(time.DateOnly, text)
	return day(at.Unix() / perDay), yearly, err == nil && at.Year() >= 1970
}

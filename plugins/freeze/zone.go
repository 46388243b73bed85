package main

import "time"

// zone is a time zone that remembers the offsets it was asked for: looking one up in a
// table of Go costs as much fuel as the rest of a call. The offsets are facts of the zone,
// and the same for every request.
type zone struct {
	table   *time.Location
	periods [4]period
	next    int // to be replaced
	fixed   []fixed
}

// fixed is a zone of one offset. Making it costs memory, which a guest has to clear away.
type fixed struct {
	offset int64
	zone   *time.Location
}

// period is a time without a change of the clocks.
type period struct {
	from, until int64 // unix seconds; until is not in it
	offset      int64 // seconds
}

func newZone(table *time.Location) *zone {
	if table == nil {
		table = time.UTC
	}
	return &zone{table: table}
}

// offset is the offset of clocks from UTC, in seconds.
func (z *zone) offset(at int64) int64 {
	for i := range z.periods {
		if p := &z.periods[i]; p.from <= at && at < p.until {
			return p.offset
		}
	}
	return z.lookUp(at)
}

// local is an instant with the offset it has in the zone.
func (z *zone) local(at int64) time.Time {
	offset := z.offset(at)
	for i := range z.fixed {
		if z.fixed[i].offset == offset {
			return time.Unix(at, 0).In(z.fixed[i].zone)
		}
	}
	// A zone has few offsets. One without a name would make a table of many.
	z.fixed = append(z.fixed, fixed{offset, time.FixedZone("local", int(offset))})
	return z.local(at)
}

// lookUp finds the period of an instant, keeps it, and returns its offset.
func (z *zone) lookUp(at int64) int64 {
	t := time.Unix(at, 0).In(z.table)
	_, offset := t.Zone()
	p := &z.periods[z.next]
	z.next = (z.next + 1) % len(z.periods)
	*p = period{from: -1 << 62, until: 1 << 62, offset: int64(offset)}
	from, until := t.ZoneBounds()
	if !from.IsZero() {
		p.from = from.Unix()
	}
	if !until.IsZero() {
		p.until = until.Unix()
	}
	return p.offset
}

// shown returns the day and the time that clocks show.
func (z *zone) shown(at int64) (d day, seconds int64) {
	wall := at + z.offset(at)
	d = day(wall / perDay)
	if wall%perDay < 0 {
		d--
	}
	return d, wall - int64(d)*perDay
}

// earliest is when clocks show a time, so many seconds after a midnight: of two instants
// the first. A time that is skipped counts as if the clocks had changed before it.
func (z *zone) earliest(d day, seconds int64) int64 {
	first, _ := z.instants(d, seconds)
	return first
}

// latest is the same, but the second of two, and a time that is skipped counts as if the
// clocks had not changed yet.
func (z *zone) latest(d day, seconds int64) int64 {
	_, last := z.instants(d, seconds)
	return last
}

// instants are those when clocks show a time, or could be meant to, in order.
func (z *zone) instants(d day, seconds int64) (first, last int64) {
	wall := int64(d)*perDay + seconds
	before, after := z.offset(wall-perDay), z.offset(wall+perDay)
	if before == after {
		return wall - before, wall - before
	}
	first, last = wall-max(before, after), wall-min(before, after)
	switch isFirst, isLast := first+z.offset(first) == wall, last+z.offset(last) == wall; {
	case isFirst && !isLast:
		return first, first
	case isLast && !isFirst:
		return last, last
	}
	return first, last
}

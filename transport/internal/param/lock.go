package param

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/core/timetext"
)

const durationForm = timetext.WantDuration

// duration returns a duration in whole milliseconds; given is false if the request does not have
// it.
func (p *Values) duration(f Field) (d time.Duration, given bool, err error) {
	if !p.given.Has(f) {
		return 0, false, nil
	}
	d, err = timetext.Duration(p.texts[f])
	if err != nil {
		return 0, true, &input.Error{Field: names[f], Problem: fmt.Sprintf("is %q", Shorten(p.texts[f])), Want: durationForm}
	}
	return d.Truncate(time.Millisecond), true, nil
}

// PositiveDuration returns a duration of more than 0; 0 if it was not given.
func (p *Values) PositiveDuration(f Field) (time.Duration, error) {
	d, given, err := p.duration(f)
	if err == nil && given && d <= 0 {
		err = Wrong(f, p.texts[f], durationForm+", more than nothing")
	}
	return d, err
}

// TTL returns the ttl; 0 if it was not given. A given 0 is refused.
func (p *Values) TTL() (time.Duration, error) { return p.leaseTime(TTL) }

// Confirm returns the time in which the lease is to be confirmed, as TTL does.
func (p *Values) Confirm() (time.Duration, error) { return p.leaseTime(Confirm) }

func (p *Values) leaseTime(f Field) (time.Duration, error) {
	d, given, err := p.duration(f)
	if err == nil && given && d == 0 {
		err = &input.Error{Field: names[f], Problem: "is " + p.texts[f], Want: lock.MinTTL.String() + " or more"}
	}
	return d, err
}

// Wait returns how long the request may wait: the parameter, else the wait in the Prefer header
// (RFC 7240), else 0.
func (p *Values) Wait() (time.Duration, error) {
	d, given, err := p.duration(Wait)
	if given || err != nil {
		return d, err
	}
	return preferredWait(p.header["Prefer"]), nil
}

// FencingToken returns the fencing token of the lease to break; 0 if it was not given.
func (p *Values) FencingToken() (lock.Token, error) {
	if !p.given.Has(FencingToken) {
		return 0, nil
	}
	value := p.texts[FencingToken]
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n == 0 || n >= 1<<53 {
		return 0, &input.Error{
			Field:   "fencing_token",
			Problem: fmt.Sprintf("is %q", Shorten(value)),
			Want:    "the fencing_token of the lease, a whole number",
		}
	}
	return lock.Token(n), nil
}

// PageSize returns how many locks or waiters a page has.
func (p *Values) PageSize(f Field) (int, error) {
	const usual = 100
	return p.pageSize(f, usual)
}

// mostOnPage is the most that a page may have.
const mostOnPage = 1000

// LargePageSize is PageSize where a page has all it may have unless the request asks for less.
func (p *Values) LargePageSize(f Field) (int, error) { return p.pageSize(f, mostOnPage) }

func (p *Values) pageSize(f Field, usual int) (int, error) {
	if !p.given.Has(f) {
		return usual, nil
	}
	n, err := strconv.Atoi(p.texts[f])
	if err != nil || n < 1 || n > mostOnPage {
		return 0, Wrong(f, p.texts[f], fmt.Sprintf("1 to %d", mostOnPage))
	}
	return n, nil
}

// WaitersAfter returns the position in the queue after which a page begins; 0 is the beginning.
func (p *Values) WaitersAfter() (int, error) {
	if !p.given.Has(WaitersAfter) {
		return 0, nil
	}
	n, err := strconv.ParseUint(p.texts[WaitersAfter], 10, 31)
	if err != nil {
		return 0, Wrong(WaitersAfter, p.texts[WaitersAfter], "a position in the queue: the waiters_next of the page before, or 0")
	}
	return int(n), nil
}

// After returns the lock name after which a page begins; empty is the beginning.
func (p *Values) After() (lock.Name, error) {
	if p.texts[After] == "" {
		return "", nil
	}
	name, err := lock.ParseName(p.texts[After])
	if err != nil {
		return "", plusLost(
			After,
			p.texts[After],
			&input.Error{Field: "after", Problem: "is not the name of a lock", Want: "the next of the page before"},
		)
	}
	return name, nil
}

// LeaseID returns the lease id, from its header or its parameter.
func (p *Values) LeaseID() (string, error) {
	id, err := Header(p.header, "Octostore-Lease")
	if err != nil {
		return "", err
	}
	switch given := p.given.Has(LeaseID); {
	case given && id != "":
		return "", duplicate("lease_id")
	case given:
		return p.texts[LeaseID], nil
	case id == "":
		return "", &input.Error{
			Field:   "lease_id",
			Problem: "is missing",
			Want:    "the lease_id from the answer to acquire, in the header Octostore-Lease, the body or the query",
		}
	}
	return id, nil
}

// LockName returns the lock name that is given as a parameter.
func (p *Values) LockName() (lock.Name, error) {
	text := p.texts[Name]
	name, err := lock.ParseName(text)
	if err != nil {
		err = plusLost(Name, text, err)
	}
	return name, err
}

// Prefix returns the prefix of lock names; empty is all names.
func (p *Values) Prefix() (string, error) {
	text := p.texts[Prefix]
	if err := lock.CheckPrefix(text); err != nil {
		return "", plusLost(Prefix, text, err)
	}
	return text, nil
}

// plusLost explains a space in a lock name or prefix: in a query and in a form, a '+' that is
// not encoded is a space.
func plusLost(f Field, text string, err error) error {
	if !strings.Contains(text, " ") {
		return err
	}
	return &input.Error{
		Field:   names[f],
		Problem: "has a space, which no name has; a '+' that is not encoded is one",
		Want:    "every '+' of the name written as %2B",
	}
}

// At returns the time to explain for; zero if it was not given.
func (p *Values) At() (time.Time, error) {
	if !p.given.Has(At) {
		return time.Time{}, nil
	}
	t, err := timetext.Time(p.texts[At])
	if err != nil {
		return time.Time{}, Wrong(At, p.texts[At], timetext.WantTime)
	}
	return t, nil
}

// Order returns the order of a listing.
func (p *Values) Order() (table.Order, error) {
	switch p.texts[Sort] {
	case "", "name":
		return table.ByName, nil
	case "waiters":
		return table.ByWaiters, nil
	case "wait":
		return table.ByWait, nil
	}
	return 0, Wrong(Sort, p.texts[Sort], "name, waiters or wait")
}

// Shown returns the views that a live stream is to show, each once; nil if none are given.
func (p *Values) Shown(all []string) ([]string, error) {
	if !p.given.Has(Show) {
		return nil, nil
	}
	shown := strings.Split(p.texts[Show], ",")
	for i, view := range shown {
		if !slices.Contains(all, view) || slices.Contains(shown[:i], view) {
			return nil, Wrong(Show, p.texts[Show], "some of "+strings.Join(all, ", ")+", each once, separated by commas")
		}
	}
	return shown, nil
}

package param

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/timetext"
)

const durationForm = timetext.WantDuration

// duration returns the value of f in whole milliseconds; given is false if the
// request does not have it.
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

// PositiveDuration returns the value of f, 0 if it was not given; a given 0 is refused.
func (p *Values) PositiveDuration(f Field) (time.Duration, error) {
	d, given, err := p.duration(f)
	if err == nil && given && d <= 0 {
		err = Wrong(f, p.texts[f], durationForm+", more than nothing")
	}
	return d, err
}

// TTL returns the ttl that was asked for; 0 means none was. So a given 0 is an
// error here already.
func (p *Values) TTL() (time.Duration, error) { return p.leaseTime(TTL) }

// Confirm returns the time to confirm the lease in that was asked for, as ttl does.
func (p *Values) Confirm() (time.Duration, error) { return p.leaseTime(Confirm) }

func (p *Values) leaseTime(f Field) (time.Duration, error) {
	d, given, err := p.duration(f)
	if err == nil && given && d == 0 {
		err = &input.Error{Field: names[f], Problem: "is " + p.texts[f], Want: lock.MinTTL.String() + " or more"}
	}
	return d, err
}

// Wait returns how long the request is ready to wait: the parameter, else the
// preference in the header Prefer (RFC 7240), else not at all.
func (p *Values) Wait() (time.Duration, error) {
	d, given, err := p.duration(Wait)
	if given || err != nil {
		return d, err
	}
	return preferredWait(p.header["Prefer"]), nil
}

// FencingToken returns the token a break is limited to; 0: none was given.
func (p *Values) FencingToken() (lock.Token, error) {
	if !p.given.Has(FencingToken) {
		return 0, nil
	}
	value := p.texts[FencingToken]
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n == 0 || n >= 1<<53 {
		return 0, &input.Error{Field: "fencing_token", Problem: fmt.Sprintf("is %q", Shorten(value)), Want: "the fencing_token of the lease, a whole number"}
	}
	return lock.Token(n), nil
}

// PageSize returns how many locks or waiters a page may have.
func (p *Values) PageSize(f Field) (int, error) {
	const usual, most = 100, 1000
	if !p.given.Has(f) {
		return usual, nil
	}
	n, err := strconv.Atoi(p.texts[f])
	if err != nil || n < 1 || n > most {
		return 0, Wrong(f, p.texts[f], fmt.Sprintf("1 to %d", most))
	}
	return n, nil
}

// WaitersAfter returns the place in a queue a page begins behind; 0: at the beginning.
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

// After returns the name the page begins behind; empty: at the beginning.
func (p *Values) After() (lock.Name, error) {
	if p.texts[After] == "" {
		return "", nil
	}
	name, err := lock.ParseName(p.texts[After])
	if err != nil {
		return "", plusLost(After, p.texts[After], &input.Error{Field: "after", Problem: "is not the name of a lock", Want: "the next of the page before"})
	}
	return name, nil
}

// LeaseID returns the proof of the hold, from the header or a parameter.
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
		return "", &input.Error{Field: "lease_id", Problem: "is missing", Want: "the lease_id from the answer to acquire, in the header Octostore-Lease, the body or the query"}
	}
	return id, nil
}

// LockName returns the name of a lock that is given as a parameter.
func (p *Values) LockName() (lock.Name, error) {
	text := p.texts[Name]
	name, err := lock.ParseName(text)
	if err != nil {
		err = plusLost(Name, text, err)
	}
	return name, err
}

// Prefix returns the beginning of names that is asked for; empty: of all.
func (p *Values) Prefix() (string, error) {
	text := p.texts[Prefix]
	if err := lock.CheckPrefix(text); err != nil {
		return "", plusLost(Prefix, text, err)
	}
	return text, nil
}

// plusLost explains a blank in what should be a name, or the beginning of one: in a query
// and in a form, a plus that is not encoded is a blank.
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

// At returns the time that is asked about; zero: none was given.
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

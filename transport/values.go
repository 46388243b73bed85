package transport

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/timetext"
)

const durationForm = timetext.WantDuration

// plainNumber writes a number of JSON without an exponent and without zeros at the
// end of its fraction, for JSON knows no difference and encoders choose. Where that
// would take more digits than any number here has, it returns the number as it is.
func plainNumber(n string) string {
	const most = 30
	mantissa, exponent := n, ""
	if i := strings.IndexAny(n, "eE"); i >= 0 {
		mantissa, exponent = n[:i], n[i+1:]
	}
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift < -most || shift > most {
			return n
		}
	}
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if point := len(whole) + shift; point > 0 {
		digits = whole + fraction + strings.Repeat("0", max(0, point-len(whole)-len(fraction)))
		whole, fraction = digits[:point], digits[point:]
	} else {
		whole, fraction = "0", strings.Repeat("0", -point)+whole+fraction
	}
	plain := strings.TrimLeft(whole[:len(whole)-1], "0") + whole[len(whole)-1:]
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		plain += "." + fraction
	}
	if negative {
		return "-" + plain
	}
	return plain
}

// duration returns the value of f in whole milliseconds; given is false if the
// request does not have it.
func (p *params) duration(f field) (d time.Duration, given bool, err error) {
	if !p.given.has(f) {
		return 0, false, nil
	}
	d, err = timetext.Duration(p.values[f])
	if err != nil {
		return 0, true, &input.Error{Field: fieldNames[f], Problem: fmt.Sprintf("is %q", shown(p.values[f])), Want: durationForm}
	}
	return d.Truncate(time.Millisecond), true, nil
}

// span returns the value of f, 0 if it was not given; a given 0 is refused.
func (p *params) span(f field) (time.Duration, error) {
	d, given, err := p.duration(f)
	if err == nil && given && d <= 0 {
		err = wrong(f, p.values[f], durationForm+", more than nothing")
	}
	return d, err
}

// ttl returns the ttl that was asked for; 0 means none was. So a given 0 is an
// error here already.
func (p *params) ttl() (time.Duration, error) { return p.leaseTime(fieldTTL) }

// confirm returns the time to confirm the lease in that was asked for, as ttl does.
func (p *params) confirm() (time.Duration, error) { return p.leaseTime(fieldConfirm) }

func (p *params) leaseTime(f field) (time.Duration, error) {
	d, given, err := p.duration(f)
	if err == nil && given && d == 0 {
		err = &input.Error{Field: fieldNames[f], Problem: "is " + p.values[f], Want: lock.MinTTL.String() + " or more"}
	}
	return d, err
}

// wait returns how long the request is ready to wait: the parameter, else the
// preference in the header Prefer (RFC 7240), else not at all.
func (p *params) wait(h http.Header) (time.Duration, error) {
	d, given, err := p.duration(fieldWait)
	if given || err != nil {
		return d, err
	}
	return preferredWait(h["Prefer"]), nil
}

// preferredWait returns the first wait among the preferences. A preference the
// server cannot read is ignored, as the RFC wants it.
func preferredWait(lines []string) time.Duration {
	for _, line := range lines {
		for pref := range strings.SplitSeq(line, ",") {
			pref, _, _ = strings.Cut(pref, ";")
			name, value, _ := strings.Cut(pref, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
			if err != nil {
				return 0
			}
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// fencingToken returns the token a break is limited to; 0: none was given.
func (p *params) fencingToken() (lock.Token, error) {
	if !p.given.has(fieldFencingToken) {
		return 0, nil
	}
	value := p.values[fieldFencingToken]
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n == 0 || n >= 1<<53 {
		return 0, &input.Error{Field: "fencing_token", Problem: fmt.Sprintf("is %q", shown(value)), Want: "the fencing_token of the lease, a whole number"}
	}
	return lock.Token(n), nil
}

// pageSize returns how many locks or waiters a page may have.
func (p *params) pageSize(f field) (int, error) {
	const usual, most = 100, 1000
	if !p.given.has(f) {
		return usual, nil
	}
	n, err := strconv.Atoi(p.values[f])
	if err != nil || n < 1 || n > most {
		return 0, wrong(f, p.values[f], fmt.Sprintf("1 to %d", most))
	}
	return n, nil
}

// position returns the place in a queue a page begins behind; 0: at the beginning.
func (p *params) position() (int, error) {
	if !p.given.has(fieldWaitersAfter) {
		return 0, nil
	}
	n, err := strconv.ParseUint(p.values[fieldWaitersAfter], 10, 31)
	if err != nil {
		return 0, wrong(fieldWaitersAfter, p.values[fieldWaitersAfter], "a position in the queue: the waiters_next of the page before, or 0")
	}
	return int(n), nil
}

// after returns the name the page begins behind; empty: at the beginning.
func (p *params) after() (lock.Name, error) {
	if p.values[fieldAfter] == "" {
		return "", nil
	}
	name, err := lock.ParseName(p.values[fieldAfter])
	if err != nil {
		return "", plusLost(fieldAfter, p.values[fieldAfter], &input.Error{Field: "after", Problem: "is not the name of a lock", Want: "the next of the page before"})
	}
	return name, nil
}

// leaseID returns the proof of the hold, from the header or a parameter.
func (p *params) leaseID(h http.Header) (string, error) {
	id, err := single(h, "Octostore-Lease")
	if err != nil {
		return "", err
	}
	switch given := p.given.has(fieldLeaseID); {
	case given && id != "":
		return "", duplicate("lease_id")
	case given:
		return p.values[fieldLeaseID], nil
	case id == "":
		return "", &input.Error{Field: "lease_id", Problem: "is missing", Want: "the lease_id from the answer to acquire, in the header Octostore-Lease, the body or the query"}
	}
	return id, nil
}

// single returns the value of a header that may come once at most and not empty;
// "" means it did not come. The name must be in canonical form.
func single(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", duplicate(name)
	case values[0] == "":
		return "", &input.Error{Field: name, Problem: "is empty", Want: "a value, or leave it out"}
	default:
		return values[0], nil
	}
}

// prefersText reports whether an Accept header asks for text/plain rather than JSON:
// whichever it names first counts.
func prefersText(accept []string) bool {
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			kind, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "text/plain", "text/*":
				return true
			case "application/json", "application/*", "*/*":
				return false
			}
		}
	}
	return false
}

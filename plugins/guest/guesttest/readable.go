//go:build !wasip1

package guesttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Members of fixtures that may be written for people, in place of a number of
// milliseconds whose name ends in _ms.
var (
	instants = []string{"now", "expires_at", "granted_at"}      // "2026-12-24T18:00:00+01:00"
	spans    = []string{"ttl", "wait", "waited", "retry_after"} // "1h30m"
)

// inMilliseconds returns an object with times and durations as numbers of milliseconds,
// also in its member lock.
func inMilliseconds(object json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil || members == nil {
		return object, nil // what it is decoded into says what is wrong
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		if name == "lock" {
			inner, err := inMilliseconds(value)
			if err != nil {
				return nil, fmt.Errorf("lock.%w", err)
			}
			members[name] = inner
			continue
		}
		read := readerOf(name)
		if read == nil {
			continue
		}
		if _, both := members[name+"_ms"]; both {
			return nil, fmt.Errorf("%s: is there beside %s_ms; want one of them", name, name)
		}
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf(`%s: is %s; want a string such as "1h", "2026-12-24T18:00:00+01:00", or %s_ms`, name, value, name)
		}
		n, err := read(text)
		if err != nil {
			return nil, fmt.Errorf("%s: is %q; %w", name, text, err)
		}
		delete(members, name)
		members[name+"_ms"] = strconv.AppendInt(nil, n, 10)
	}
	return json.Marshal(members)
}

func readerOf(name string) func(string) (int64, error) {
	switch {
	case slices.Contains(instants, name):
		return instant
	case slices.Contains(spans, name):
		return span
	}
	return nil
}

// instant reads a time of RFC 3339, or a date, which is midnight UTC.
func instant(text string) (int64, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(time.DateOnly, text)
	}
	if err != nil || t.Year() < 1970 {
		return 0, errors.New(`want a time like "2026-01-02T15:04:05Z", or a date like "2026-01-02", which is midnight UTC`)
	}
	return t.UnixMilli(), nil
}

// span reads a Go duration, which may begin with whole days, or a number of seconds.
func span(text string) (int64, error) {
	wrong := errors.New(`want a duration like "90s", "1h30m" or "1d", or a number of seconds`)
	if text != "" && strings.Trim(text, "0123456789.-") == "" {
		text += "s"
	}
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		days, rest = "0", text
	}
	digits, negative := strings.CutPrefix(days, "-")
	n, err := strconv.ParseUint(digits, 10, 16) // 180 years of days
	if err != nil || text == "" || hasDays && strings.HasPrefix(rest, "-") || hasDays && strings.HasPrefix(rest, "+") {
		return 0, wrong
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return 0, wrong
		}
		d += more
	}
	if negative {
		d = -d
	}
	if d%time.Millisecond != 0 {
		return 0, wrong
	}
	return d.Milliseconds(), nil
}

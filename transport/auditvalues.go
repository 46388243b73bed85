package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/timetext"
)

func wrong(f field, value, want string) error {
	return &input.Error{Field: fieldNames[f], Problem: fmt.Sprintf("is %q", shown(value)), Want: want}
}

// auditFormat returns "ndjson" or "csv".
func (p *params) auditFormat() (string, error) {
	switch value := p.values[fieldFormat]; {
	case !p.given.has(fieldFormat), value == "ndjson":
		return "ndjson", nil
	case value == "csv":
		return "csv", nil
	default:
		return "", wrong(fieldFormat, value, "ndjson or csv")
	}
}

// flag returns a truth; not given is false.
func (p *params) flag(f field) (bool, error) {
	switch value := p.values[f]; {
	case !p.given.has(f), value == "0", value == "false":
		return false, nil
	case value == "1", value == "true":
		return true, nil
	default:
		return false, wrong(f, value, "1 or 0")
	}
}

func (p *params) auditFilter() (f journal.Filter, err error) {
	f.Account = p.values[fieldAccount]
	if f.Prefix, err = p.prefix(); err != nil {
		return f, err
	}
	if p.given.has(fieldAccount) && f.Account == "" {
		return f, wrong(fieldAccount, "", "the name of an account, or no such parameter")
	}
	if f.Kinds, err = p.kinds(); err != nil {
		return f, err
	}
	f.Decision = journal.Decision(p.values[fieldDecision])
	if f.Decision != "" && !slices.Contains(journal.Decisions(), f.Decision) {
		return f, wrong(fieldDecision, string(f.Decision), list(journal.Decisions()))
	}
	return f, nil
}

// kinds reads a list of kinds, separated by commas.
func (p *params) kinds() (kinds []lock.Kind, err error) {
	if !p.given.has(fieldKind) {
		return nil, nil
	}
	for text := range strings.SplitSeq(p.values[fieldKind], ",") {
		kind := lock.Kind(text)
		if !slices.Contains(lock.Kinds(), kind) {
			return nil, wrong(fieldKind, text, "one or more, separated by commas, of "+list(lock.Kinds()))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func list[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

// auditLimit returns how many records an export may have; 0: any number.
func (p *params) auditLimit() (int64, error) {
	if !p.given.has(fieldLimit) {
		return 0, nil
	}
	value := p.values[fieldLimit]
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 {
		return 0, wrong(fieldLimit, value, "how many records at most, 1 or more")
	}
	return n, nil
}

// instant returns a time, a date, or how long ago it was; the zero time if f is not given.
func (p *params) instant(f field, now time.Time) (time.Time, error) {
	if !p.given.has(f) {
		return time.Time{}, nil
	}
	value := p.values[f]
	t, err := timetext.Instant(value, now)
	if err != nil {
		return time.Time{}, wrong(f, value, timetext.WantInstant)
	}
	return t, nil
}

const wantCursor = "a cursor of this journal; that one may be of another, or of one that has been replaced by a backup"

// cursor returns the event after which to begin, at most the newest one.
func (p *params) cursor(f field, newest lock.Seq) (lock.Seq, error) {
	value := p.values[f]
	seq, err := record.ParseCursor(value)
	if err != nil {
		return 0, wrong(f, value, "a cursor: the last of an export, the id of an event, or the seq of a record")
	}
	if seq > newest {
		return 0, &input.Error{
			Field:   fieldNames[f],
			Problem: fmt.Sprintf("is %q, which is after the newest record here, %s", shown(value), record.FormatCursor(newest)),
			Want:    wantCursor,
		}
	}
	return seq, nil
}

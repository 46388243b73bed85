package param

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

// Wrong returns the error for a parameter with a wrong value.
func Wrong(f Field, value, want string) error {
	return &input.Error{Field: names[f], Problem: fmt.Sprintf("is %q", Shorten(value)), Want: want}
}

// AuditFormat returns the format of an export: "ndjson" or "csv".
func (p *Values) AuditFormat() (string, error) {
	switch value := p.texts[Format]; {
	case !p.given.Has(Format), value == "ndjson":
		return "ndjson", nil
	case value == "csv":
		return "csv", nil
	default:
		return "", Wrong(Format, value, "ndjson or csv")
	}
}

// Flag returns a boolean; false if it was not given.
func (p *Values) Flag(f Field) (bool, error) {
	switch value := p.texts[f]; {
	case !p.given.Has(f), value == "0", value == "false":
		return false, nil
	case value == "1", value == "true":
		return true, nil
	default:
		return false, Wrong(f, value, "1 or 0")
	}
}

// AuditFilter returns which records an export selects.
func (p *Values) AuditFilter() (f journal.Filter, err error) {
	f.Account = p.texts[Account]
	if f.Prefix, err = p.Prefix(); err != nil {
		return f, err
	}
	if p.given.Has(Name) {
		if f.Name, err = p.LockName(); err != nil {
			return f, err
		}
	}
	if p.given.Has(Account) && f.Account == "" {
		return f, Wrong(Account, "", "the name of an account, or no such parameter")
	}
	if f.Kinds, err = p.kinds(); err != nil {
		return f, err
	}
	f.Decision = journal.Decision(p.texts[Decision])
	if f.Decision != "" && !slices.Contains(journal.Decisions(), f.Decision) {
		return f, Wrong(Decision, string(f.Decision), list(journal.Decisions()))
	}
	return f, nil
}

// kinds returns a comma-separated list of kinds.
func (p *Values) kinds() (kinds []lock.Kind, err error) {
	if !p.given.Has(Kind) {
		return nil, nil
	}
	for text := range strings.SplitSeq(p.texts[Kind], ",") {
		kind := lock.Kind(text)
		if !slices.Contains(lock.Kinds(), kind) {
			return nil, Wrong(Kind, text, "one or more, separated by commas, of "+list(lock.Kinds()))
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

// AuditLimit returns how many records an export may have; 0 is any number.
func (p *Values) AuditLimit() (int64, error) {
	if !p.given.Has(Limit) {
		return 0, nil
	}
	value := p.texts[Limit]
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 {
		return 0, Wrong(Limit, value, "how many records at most, 1 or more")
	}
	return n, nil
}

// MaxNewest is the largest number of newest records that a request may ask for.
const MaxNewest = 1000

// Newest returns how many of the newest records an export may have; 0: it begins at the
// oldest. It cannot be asked for together with another beginning or another end.
func (p *Values) Newest() (int, error) {
	if !p.given.Has(Last) {
		return 0, nil
	}
	value := p.texts[Last]
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxNewest {
		return 0, Wrong(Last, value, "how many of the newest records, 1 to 1000")
	}
	for _, f := range []Field{After, Limit, Follow} {
		if p.given.Has(f) {
			return 0, &input.Error{
				Field: names[f], Problem: "is given together with last", Want: "one of the two: last ends at the newest record of now",
			}
		}
	}
	return n, nil
}

// Instant returns a time, a date, or a time ago; zero if it was not given.
func (p *Values) Instant(f Field, now time.Time) (time.Time, error) {
	if !p.given.Has(f) {
		return time.Time{}, nil
	}
	value := p.texts[f]
	t, err := timetext.Instant(value, now)
	if err != nil {
		return time.Time{}, Wrong(f, value, timetext.WantInstant)
	}
	return t, nil
}

// WantCursor says what a cursor should have been that this journal does not know.
const WantCursor = "a cursor of this journal; that one may be of another, or of one that has been replaced by a backup"

// Cursor returns the event after which to begin, which is not after the newest.
func (p *Values) Cursor(f Field, newest lock.Seq) (lock.Seq, error) {
	value := p.texts[f]
	seq, err := record.ParseCursor(value)
	if err != nil {
		return 0, Wrong(f, value, "a cursor: the last of an export, the id of an event, or the seq of a record")
	}
	if seq > newest {
		return 0, &input.Error{
			Field:   names[f],
			Problem: fmt.Sprintf("is %q, which is after the newest record here, %s", Shorten(value), record.FormatCursor(newest)),
			Want:    WantCursor,
		}
	}
	return seq, nil
}

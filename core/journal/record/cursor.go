package record

import (
	"errors"
	"strconv"

	"github.com/octostore/octostore/core/lock"
)

var errNotACursor = errors.New("not a cursor")

// FormatCursor returns the cursor of an event as the wire has it. To clients it is an
// opaque string.
func FormatCursor(seq lock.Seq) string { return strconv.FormatUint(uint64(seq), 10) }

// ParseCursor reads what [FormatCursor] wrote. The empty string is the beginning.
func ParseCursor(s string) (lock.Seq, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 53)
	if err != nil || s[0] == '+' || len(s) > 1 && s[0] == '0' {
		return 0, errNotACursor
	}
	return lock.Seq(n), nil
}

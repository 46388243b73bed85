// Package text prints what commands show: figures, times and tables for people, JSON for
// programs.
package text

import (
	"fmt"
	"strings"
	"time"
)

// Count returns n and the noun for it: "1 record", "2 records", "1,234,567 records". A noun
// of several words stays as it is.
func Count(n int64, what string) string {
	if n != 1 && !strings.Contains(what, " ") {
		what += "s"
	}
	return Thousands(n) + " " + what
}

// Thousands returns n with a comma between every three digits.
func Thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Day returns t to the minute, or the text for none if it is nil.
func Day(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.Format("2006-01-02 15:04Z")
}

package locktool

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// cell returns a text that stays in one cell of a table.
func cell(s string) string { return strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(s) }

// orDash returns a text for a cell, or a dash for none.
func orDash(s string) string { return cell(cmp.Or(s, "-")) }

// absolute returns a time in the fixed form of all commands for locks: to the second, in UTC.
func absolute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span returns milliseconds as people read them, in at most two units.
func span(ms int64) string {
	d := max(0, time.Duration(ms)*time.Millisecond)
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// ago returns how long before now a time was.
func ago(t, now time.Time) string { return span(now.Sub(t).Milliseconds()) + " ago" }

package locktool

import (
	"cmp"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
)

// cell returns a text that stays in one cell of a table.
func cell(s string) string { return strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(s) }

// orDash returns a text for a cell, or a dash for none.
func orDash(s string) string { return cell(cmp.Or(s, "-")) }

// absolute returns a time in the fixed form of all commands for locks: to the second, in UTC.
func absolute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span returns milliseconds as people read them.
func span(ms int64) string { return text.Span(ms) }

// ago returns how long before now a time was.
func ago(t, now time.Time) string { return span(now.Sub(t).Milliseconds()) + " ago" }

// Package terminal keeps terminals from obeying what strangers wrote. Names of holders,
// reasons, and everything a server answers may hold characters that move the cursor,
// change the title, or turn the reading direction round.
package terminal

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// Writer passes on what is written to it, with every character that a terminal would obey
// in an escaped form, such as \u001b. Newlines and tabs pass. It is used by one goroutine.
type Writer struct {
	to   io.Writer
	rest []byte // of a character whose end has not been written yet
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Exact returns what is written to, for what has to arrive byte by byte.
func (w *Writer) Exact() io.Writer { return w.to }

// Write implements [io.Writer]. A character that is cut in two waits for its end.
func (w *Writer) Write(p []byte) (int, error) {
	all := p
	if len(w.rest) > 0 {
		all = append(w.rest, p...)
	}
	clean, rest := escape(make([]byte, 0, len(all)), all)
	w.rest = append([]byte(nil), rest...)
	if _, err := w.to.Write(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Clean returns s as a [Writer] writes it.
func Clean(s string) string {
	clean, rest := escape(make([]byte, 0, len(s)), []byte(s))
	for _, b := range rest {
		clean = fmt.Appendf(clean, `\x%02x`, b)
	}
	return string(clean)
}

// escape appends the clean form of p. What p ends with may be the beginning of a
// character.
func escape(to, p []byte) (clean, rest []byte) {
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && size == 1:
			if !utf8.FullRune(p) {
				return to, p
			}
			to = fmt.Appendf(to, `\x%02x`, p[0]) // some terminals take single bytes for commands
		case obeyed(r):
			to = appendEscaped(to, r)
		default:
			to = append(to, p[:size]...)
		}
		p = p[size:]
	}
	return to, nil
}

// appendEscaped writes r as JSON would, so that JSON stays what it is.
func appendEscaped(to []byte, r rune) []byte {
	if r > 0xffff {
		high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
		return fmt.Appendf(to, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(to, `\u%04x`, r)
}

// obeyed reports whether a terminal, or what lays its lines out, does something else with
// r than show it: controls, separators of lines, and what has no form of its own, among it
// everything that turns the direction. The joiners stay: some scripts are written with
// them.
func obeyed(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d':
		return false
	case '\u2028', '\u2029':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

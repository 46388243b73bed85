// Package terminal escapes terminal control characters in untrusted text. Holder names,
// reasons and other answers of a server may contain characters that move the cursor, change
// the title, or reverse the reading direction.
package terminal

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// Writer passes text on, and escapes every character that a terminal would interpret, as in
// \u001b. Newlines and tabs pass. It is used by one goroutine.
type Writer struct {
	to   io.Writer
	rest []byte // of a character whose end has not been written yet
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Exact returns the underlying writer, for output that must arrive byte for byte.
func (w *Writer) Exact() io.Writer { return w.to }

// Write implements [io.Writer]. A character split between two writes waits for its end.
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

// escape appends the escaped form of p. The end of p may be the beginning of a character.
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

// appendEscaped writes r as JSON would, so that JSON stays valid.
func appendEscaped(to []byte, r rune) []byte {
	if r > 0xffff {
		high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
		return fmt.Appendf(to, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(to, `\u%04x`, r)
}

// obeyed reports whether a terminal or its line layout does more with r than show it:
// controls, line separators, and characters without a form of their own, such as those that
// change the direction. Joiners pass, because some scripts need them.
func obeyed(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d':
		return false
	case '\u2028', '\u2029':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

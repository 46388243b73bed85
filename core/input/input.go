// Package input says what is wrong with a request: which field, in what way, and what
// would be right. Every layer that reads what a client sent uses it, from transport to
// the lock table. It knows nothing of locks or HTTP and imports none of our packages.
package input

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Error is the answer to a request that has a bad field. The whole request was
// refused: nothing was done.
type Error struct {
	Field   string // as the client spells it: "name", "ttl", "meta.ticket"
	Problem string // "is 300 bytes long"
	Want    string // "at most 128 bytes"
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s; want %s", e.Field, e.Problem, e.Want)
}

// CheckText returns nil if s is at most most bytes of printable UTF-8 without
// control characters, or an [*Error] for the named field.
func CheckText(field, s string, most int) error {
	problem := textProblem(s, most)
	if problem == "" {
		return nil
	}
	return &Error{Field: field, Problem: problem, Want: fmt.Sprintf("at most %d bytes of printable UTF-8 without control characters", most)}
}

func textProblem(s string, most int) string {
	if len(s) > most {
		return fmt.Sprintf("is %d bytes long", len(s))
	}
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Sprintf("has the character %U", r)
		}
	}
	return ""
}

// CharacterAt spells the character that begins at s[i], or the byte if it is none,
// with its position, since it may be an invisible one.
func CharacterAt(s string, i int) string {
	r, size := utf8.DecodeRuneInString(s[i:])
	switch {
	case r == utf8.RuneError && size <= 1:
		return fmt.Sprintf(`the byte \x%02x at byte %d`, s[i], i+1)
	case r < utf8.RuneSelf:
		return fmt.Sprintf("the character %q at byte %d", r, i+1)
	}
	return fmt.Sprintf("the character %#U at byte %d", r, i+1)
}

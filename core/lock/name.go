package lock

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Name is the name of a lock: 1 to 256 bytes, segments of [A-Za-z0-9._-] of at
// most 64 bytes each, joined by single slashes. Make one with [ParseName];
// every function of this package takes a Name to be well formed.
type Name string

// Bounds of a [Name], in bytes.
const (
	MaxName    = 256
	MaxSegment = 64
)

// ReservedVerbs are the words that cannot be the last segment of a name,
// because the last segment of a URL path says what is to be done with the lock.
// Some are not in use yet; they are reserved so that they can be later.
var ReservedVerbs = []string{
	"acquire", "renew", "release", "break", "wait", "watch",
	"queue", "history", "transfer", "extend",
}

const nameForm = "1 to 256 bytes: segments of letters, digits, '.', '_' and '-' (at most 64 bytes each) joined by '/'"

// ParseName returns s as a Name, or an [*InputError] for the field "name" that
// says what is wrong with it.
func ParseName(s string) (Name, error) {
	bad := func(format string, args ...any) (Name, error) {
		return "", &InputError{Field: "name", Problem: fmt.Sprintf(format, args...), Want: nameForm}
	}
	if s == "" {
		return bad("is empty")
	}
	if len(s) > MaxName {
		return bad("is %d bytes long", len(s))
	}
	if problem := strangeCharacter(s); problem != "" {
		return bad("%s", problem)
	}
	rest, last := s, ""
	for more := true; more; {
		last, rest, more = strings.Cut(rest, "/")
		if problem := segmentProblem(last); problem != "" {
			return bad("%s", problem)
		}
	}
	for _, verb := range ReservedVerbs {
		if last == verb {
			return bad("ends in the reserved word %q", verb)
		}
	}
	return Name(s), nil
}

func segmentProblem(segment string) string {
	switch {
	case segment == "":
		return "has an empty segment (a leading, trailing or doubled '/')"
	case segment == "." || segment == "..":
		return fmt.Sprintf("has the segment %q", segment)
	case len(segment) > MaxSegment:
		return fmt.Sprintf("has a segment of %d bytes", len(segment))
	}
	return ""
}

// strangeCharacter says which character of s cannot be in a name, and where, or "".
func strangeCharacter(s string) string {
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) && s[i] != '/' {
			return "has " + characterAt(s, i)
		}
	}
	return ""
}

// characterAt spells the character that begins at s[i], or the byte if it is none,
// so that people find it: it may be one that cannot be seen.
func characterAt(s string, i int) string {
	r, size := utf8.DecodeRuneInString(s[i:])
	switch {
	case r == utf8.RuneError && size <= 1:
		return fmt.Sprintf(`the byte \x%02x at byte %d`, s[i], i+1)
	case r < utf8.RuneSelf:
		return fmt.Sprintf("the character %q at byte %d", r, i+1)
	}
	return fmt.Sprintf("the character %#U at byte %d", r, i+1)
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}

// CheckPrefix returns nil if s can be the beginning of a name (the empty prefix
// is), or an [*InputError] for the field "prefix". A prefix is bytes, not
// segments: "deploy/p" is the prefix of "deploy/prod".
func CheckPrefix(s string) error {
	if len(s) > MaxName {
		return &InputError{Field: "prefix", Problem: fmt.Sprintf("is %d bytes long", len(s)), Want: "the beginning of a name, at most 256 bytes"}
	}
	if problem := strangeCharacter(s); problem != "" {
		return &InputError{Field: "prefix", Problem: problem, Want: "the beginning of a name: letters, digits, '.', '_', '-' and '/'"}
	}
	return nil
}

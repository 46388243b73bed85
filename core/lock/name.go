package lock

import (
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/input"
)

// Name is the name of a lock: 1 to 512 bytes, segments of [A-Za-z0-9._~:@+-] of at
// most 200 bytes each, joined by single slashes; no segment is "." or "..". No word is
// reserved. Make one with [ParseName]; every function of this package takes a Name to be
// well formed.
type Name string

// Bounds of a [Name], in bytes.
const (
	MaxName    = 512
	MaxSegment = 200
)

const (
	nameCharacters = "letters, digits, '.', '_', '~', ':', '@', '+' and '-'"
	nameForm       = "1 to 512 bytes: segments of " + nameCharacters + " (at most 200 bytes each) joined by '/'"
)

// ParseName returns s as a Name, or an [*input.Error] for the field "name" that
// says what is wrong with it.
func ParseName(s string) (Name, error) {
	if len(s) > MaxName || !wellFormed(s) {
		return "", &input.Error{Field: "name", Problem: nameProblem(s), Want: nameForm}
	}
	return Name(s), nil
}

// wellFormed reports whether s is a name, but for its length. It looks at each byte once.
func wellFormed(s string) bool {
	start := 0
	for i := 0; i < len(s); i++ {
		if nameBytes[s[i]] {
			continue
		}
		if s[i] != '/' || !goodSegment(s[start:i]) {
			return false
		}
		start = i + 1
	}
	return goodSegment(s[start:])
}

func goodSegment(s string) bool {
	return s != "" && len(s) <= MaxSegment && s != "." && s != ".."
}

// nameProblem says what is wrong with a name that is not well formed.
func nameProblem(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > MaxName:
		return fmt.Sprintf("is %d bytes long", len(s))
	}
	if problem := strangeCharacter(s); problem != "" {
		return problem
	}
	for segment := range strings.SplitSeq(s, "/") {
		switch {
		case segment == "":
			return "has an empty segment (a leading, trailing or doubled '/')"
		case segment == "." || segment == "..":
			return fmt.Sprintf("has the segment %q", segment)
		case len(segment) > MaxSegment:
			return fmt.Sprintf("has a segment of %d bytes", len(segment))
		}
	}
	return ""
}

// strangeCharacter says which character of s cannot be in a name, and where, or "".
func strangeCharacter(s string) string {
	for i := 0; i < len(s); i++ {
		if !nameBytes[s[i]] && s[i] != '/' {
			return "has " + input.CharacterAt(s, i)
		}
	}
	return ""
}

// nameBytes has the bytes a segment may be of. Those that mean something to scopes,
// settings, shells, URLs or patterns ("," ";" "=" "#" "%" "*" "!" and blanks) are not among
// them.
var nameBytes = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@+-") {
		in[c] = true
	}
	return in
}()

// CheckPrefix returns nil if s can be the beginning of a name (the empty prefix
// is), or an [*input.Error] for the field "prefix". A prefix is bytes, not
// segments: "deploy/p" is the prefix of "deploy/prod".
func CheckPrefix(s string) error {
	if len(s) > MaxName {
		return &input.Error{
			Field:   "prefix",
			Problem: fmt.Sprintf("is %d bytes long", len(s)),
			Want:    fmt.Sprintf("the beginning of a name, at most %d bytes", MaxName),
		}
	}
	if problem := strangeCharacter(s); problem != "" {
		return &input.Error{Field: "prefix", Problem: problem, Want: "the beginning of a name: " + nameCharacters + ", and '/'"}
	}
	return nil
}

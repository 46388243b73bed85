// Package scan reads JSON that is known to be valid, since the server wrote or checked it.
// It replaces encoding/json, which makes a policy half as large again and costs many times
// as much fuel.
package scan

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Members iterates over the members of an object: the raw name without its quotation marks,
// and the raw value. A value that is no object has no members.
func Members(object string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		s, is := strings.CutPrefix(Space(object), "{")
		for is {
			s = Space(s)
			end := length(s)
			if end < 2 {
				return
			}
			name := s[1 : end-1]
			s = Space(strings.TrimPrefix(Space(s[end:]), ":"))
			end = length(s)
			if !yield(name, s[:end]) {
				return
			}
			s, is = strings.CutPrefix(Space(s[end:]), ",")
		}
	}
}

// Elements iterates over the raw elements of a list. A value that is no list has none.
func Elements(list string) iter.Seq[string] {
	return func(yield func(value string) bool) {
		s, is := strings.CutPrefix(Space(list), "[")
		for is {
			s = Space(s)
			end := length(s)
			if end == 0 || !yield(s[:end]) {
				return
			}
			s, is = strings.CutPrefix(Space(s[end:]), ",")
		}
	}
}

// Member returns a member of an object, empty if there is none. It does not find names
// that are written with an escape.
func Member(object, name string) string {
	for found, value := range Members(object) {
		if found == name {
			return value
		}
	}
	return ""
}

// Space cuts insignificant space from the beginning.
func Space(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		s = s[1:]
	}
	return s
}

// length returns the length of the value at the beginning of s, or 0 if there is none.
func length(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			i = closing(s, i)
			if depth == 0 {
				return min(i+1, len(s))
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// closing returns the index of the quotation mark that closes the one at i.
func closing(s string, i int) int {
	for i++; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i
}

// IsText reports whether a value is a string.
func IsText(value string) bool { return len(value) >= 2 && value[0] == '"' }

// Text returns the decoded content of a string. Without escapes it shares the memory of the
// value.
func Text(value string) string {
	s := value[1 : len(value)-1]
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for s = s[i:]; s != ""; {
		if s[0] != '\\' || len(s) < 2 {
			b, s = append(b, s[0]), s[1:]
			continue
		}
		if s[1] == 'u' {
			r, n := unicode(s)
			b, s = utf8.AppendRune(b, r), s[n:]
			continue
		}
		c := s[1]
		if at := strings.IndexByte("bfnrt", c); at >= 0 {
			c = "\b\f\n\r\t"[at]
		}
		b, s = append(b, c), s[2:]
	}
	return string(b)
}

// unicode reads an escape with a number, or the two of a surrogate pair.
func unicode(s string) (r rune, n int) {
	r, n = hex(s[2:]), min(6, len(s))
	if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(s[n:], `\u`) {
		if low := hex(s[n+2:]); low >= 0xdc00 && low < 0xe000 {
			return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, min(12, len(s))
		}
	}
	return r, n
}

func hex(s string) rune {
	n, err := strconv.ParseUint(s[:min(4, len(s))], 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

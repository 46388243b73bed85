// Package pattern selects lock names, for policies and token scopes alike.
package pattern

import (
	"errors"
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/lock"
)

// List is a list of patterns for lock names. "*" stands for any characters within a
// segment, "**" as a whole segment for one or more segments, and "!" before a pattern
// excludes names. The last matching pattern decides.
type List []pattern

type pattern struct {
	text     string
	excludes bool
	segments []string
}

// maxDeep is how many "**" a pattern may have. Guests match by the same rules
// (guest.MatchNames), and the time of a simple implementation multiplies with each.
const maxDeep = 3

// Parse parses patterns. An error names the wrong pattern and what is wrong with it.
func Parse(texts []string) (List, error) {
	var all List
	includes := false
	for _, text := range texts {
		p := pattern{text: text}
		rest := text
		rest, p.excludes = strings.CutPrefix(rest, "!")
		includes = includes || !p.excludes
		p.segments = strings.Split(rest, "/")
		if n := strings.Count(rest, "**"); n > maxDeep {
			return nil, fmt.Errorf("%q has \"**\" %d times; want at most %d", text, n, maxDeep)
		}
		for _, s := range p.segments {
			if err := checkSegment(s); err != nil {
				return nil, fmt.Errorf("%q %w", text, err)
			}
		}
		all = append(all, p)
	}
	if !includes {
		return nil, errors.New("has no pattern that includes anything; \"**\" is every name")
	}
	return all, nil
}

func checkSegment(s string) error {
	switch {
	case s == "":
		return errors.New("has an empty segment")
	case s != "**" && strings.Contains(s, "**"):
		return errors.New("has \"**\" beside other characters; it stands for whole segments")
	}
	plain := strings.ReplaceAll(s, "*", "") // a star may stand for nothing
	if plain == "" || plain == "." || plain == ".." {
		return nil // no name has the last two segments, but they are harmless beside "**"
	}
	if _, err := lock.ParseName("x/" + plain); err != nil {
		return fmt.Errorf("can match no name: names have letters, digits, '.', '_', '~', ':', '@', '+' and '-' in segments of at most %d", lock.MaxSegment)
	}
	return nil
}

// Match reports whether the patterns select a name.
func (ps List) Match(name lock.Name) bool {
	for i := len(ps) - 1; i >= 0; i-- {
		if matchSegments(ps[i].segments, string(name)) {
			return !ps[i].excludes
		}
	}
	return false
}

// All reports whether the patterns select every possible name.
func (ps List) All() bool { return len(ps) > 0 && ps[len(ps)-1].text == "**" }

// Prefixes returns prefixes such that every selected name begins with one of them. They
// narrow a search over ordered names.
func (ps List) Prefixes() []string {
	var all []string
	for _, p := range ps {
		if !p.excludes {
			prefix, _, _ := strings.Cut(p.text, "*")
			all = append(all, prefix)
		}
	}
	return all
}

// String returns the patterns as written, separated by commas.
func (ps List) String() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.text
	}
	return strings.Join(texts, ",")
}

// matchSegments matches a pattern with a name. Each "**" takes as little as it can, and
// only the newest is ever extended, because extending an earlier one would leave less for
// the rest. So the worst-case time, which callers can cause, is proportional to the product
// of the lengths.
func matchSegments(pattern []string, name string) bool {
	if len(pattern) == 1 && pattern[0] == "**" { // the pattern of most policies
		return name != ""
	}
	var after []string // the pattern after the newest "**", nil: no "**" yet
	var from string    // rest of the name at which it was tried
	for len(pattern) > 0 || name != "" {
		first, rest, more := strings.Cut(name, "/")
		switch {
		case len(pattern) > 0 && pattern[0] == "**":
			if len(pattern) == 1 || !more {
				return len(pattern) == 1 && name != ""
			}
			pattern, name = pattern[1:], rest
			after, from = pattern, name
		case len(pattern) > 0 && name != "" && matchSegment(pattern[0], first):
			pattern, name = pattern[1:], rest
		case after == nil:
			return false
		default:
			if _, from, more = strings.Cut(from, "/"); !more {
				return false
			}
			pattern, name = after, from
		}
	}
	return true
}

// matchSegment matches one segment; a star takes as little as it can.
func matchSegment(pattern, s string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	for ok {
		var middle string
		middle, tail, star = strings.Cut(tail, "*")
		if !star {
			return strings.HasSuffix(s, middle)
		}
		_, s, ok = strings.Cut(s, middle)
	}
	return false
}

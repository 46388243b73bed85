package guest

import "strings"

// MatchNames reports whether patterns of lock names select a name, by the rules of
// "match" in policies.json: "*" stands for any characters within a segment, "**" as a
// whole segment for one or more segments, "!" before a pattern excludes what it
// matches, and the last pattern that matches decides. Without patterns nothing is
// selected.
func MatchNames(patterns []string, name string) bool {
	for i := len(patterns) - 1; i >= 0; i-- {
		pattern, excludes := strings.CutPrefix(patterns[i], "!")
		if matchSegments(pattern, name) {
			return !excludes
		}
	}
	return false
}

// matchSegments goes through pattern and name; what follows a "**" is tried at every
// later segment.
func matchSegments(pattern, name string) bool {
	for pattern != "" {
		if name == "" {
			return false
		}
		wanted, morePattern, _ := strings.Cut(pattern, "/")
		segment, moreName, more := strings.Cut(name, "/")
		if wanted == "**" {
			return morePattern == "" || matchSegments(morePattern, moreName) || more && matchSegments(pattern, moreName)
		}
		if !MatchText(wanted, segment) {
			return false
		}
		pattern, name = morePattern, moreName
	}
	return name == ""
}

// MatchText reports whether a pattern matches a whole text: "*" stands for any
// characters, also none, "?" for one byte, everything else for itself. It takes time
// in proportion to the length of both multiplied, at the worst.
func MatchText(pattern, text string) bool {
	p, t := 0, 0
	star, after := -1, 0 // the last star, and where what it stands for ends by now
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, after = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			after++
			p, t = star+1, after
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// MatchAny reports whether one of the patterns matches a text, as [MatchText] does.
func MatchAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if MatchText(p, text) {
			return true
		}
	}
	return false
}

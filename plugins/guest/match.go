package guest

// MatchNames reports whether patterns of lock names select a name, by the rules of
// "match" in policies.json: "*" stands for any characters within a segment, "**" as a
// whole segment for one or more segments, "!" before a pattern excludes what it
// matches, and the last pattern that matches decides. Without patterns nothing is
// selected.
func MatchNames(patterns []string, name string) bool {
	for i := len(patterns) - 1; i >= 0; i-- {
		p := patterns[i]
		excludes := len(p) > 0 && p[0] == '!'
		if excludes {
			p = p[1:]
		}
		if matchName(p, name) {
			return !excludes
		}
	}
	return false
}

// matchName goes through pattern and name byte by byte, which costs far less fuel than
// cutting them into segments.
func matchName(p, n string) bool {
	for {
		if len(p) >= 2 && p[0] == '*' && p[1] == '*' {
			return matchDeep(p, n)
		}
		i, j, matched := matchSegment(p, n)
		switch {
		case !matched:
			return false
		case i == len(p) || j == len(n):
			return i == len(p) && j == len(n)
		}
		p, n = p[i+1:], n[j+1:]
	}
}

// matchDeep matches a pattern that begins with "**": what follows it is tried at every
// later segment.
func matchDeep(p, n string) bool {
	if len(p) == 2 {
		return n != ""
	}
	for i := range len(n) {
		if n[i] == '/' && matchName(p[3:], n[i+1:]) {
			return true
		}
	}
	return false
}

// matchSegment matches the first segments and returns where they end. A star takes as
// little as it can.
func matchSegment(p, n string) (i, j int, matched bool) {
	star, after := -1, 0 // the last star, and where what it stands for ends by now
	for {
		pEnds, nEnds := i == len(p) || p[i] == '/', j == len(n) || n[j] == '/'
		switch {
		case pEnds && nEnds:
			return i, j, true
		case !pEnds && p[i] == '*':
			star, after = i, j
			i++
		case !pEnds && !nEnds && p[i] == n[j]:
			i++
			j++
		case star >= 0 && !nEnds:
			after++
			i, j = star+1, after
		default:
			return i, j, false
		}
	}
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
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
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

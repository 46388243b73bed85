package guest

// MatchNames reports whether patterns of lock names select a name, by the rules of
// "match" in policies.json: "*" stands for any characters within a segment, "**" as a
// whole segment for one or more segments, "!" before a pattern excludes names, and
// the last matching pattern decides. Without patterns it is false.
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
// cutting them into segments. Each "**" takes as little as it can, and only the newest is
// ever given more: an earlier one would only leave less. So the fuel is in proportion to
// the lengths multiplied at the worst; callers choose the name.
func matchName(p, n string) bool {
	after, from := "", "" // what follows the newest "**", empty: there was none; and where in the name that was tried
	for {
		if len(p) >= 2 && p[0] == '*' && p[1] == '*' {
			rest, more := nextSegment(n)
			if len(p) == 2 || !more {
				return len(p) == 2 && n != ""
			}
			p, n = p[3:], rest
			after, from = p, n
			continue
		}
		i, j, matched := matchSegment(p, n)
		switch pEnds, nEnds := i == len(p), j == len(n); {
		case matched && nEnds:
			return pEnds // what is left of the pattern is too long for any other beginning, too
		case matched && !pEnds:
			p, n = p[i+1:], n[j+1:]
			continue
		case after == "":
			return false
		}
		rest, more := nextSegment(from)
		if !more {
			return false
		}
		from = rest
		p, n = after, from
	}
}

// nextSegment returns what comes after the first segment.
func nextSegment(n string) (rest string, more bool) {
	for i := range len(n) {
		if n[i] == '/' {
			return n[i+1:], true
		}
	}
	return "", false
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
// characters, also none, "?" for one byte, everything else for itself. The worst case
// takes time in proportion to the product of both lengths.
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

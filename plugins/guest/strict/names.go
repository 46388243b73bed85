package strict

import (
	"strconv"
	"strings"
)

// maxDeep is the largest number of "**" in a pattern, as in policies.json.
const maxDeep = 3

// nameCharacters are the characters of a name pattern besides "/".
const nameCharacters = "*.-_~:@+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Names returns a list of patterns of lock names for guest.MatchNames; nil if there is
// none. Each has to be able to match a name, and one at least has to include something.
func (o *Object) Names(name string) []string {
	patterns := o.Texts(name)
	includes := len(patterns) == 0
	for i, p := range patterns {
		rest, excludes := strings.CutPrefix(p, "!")
		includes = includes || !excludes
		if what := wrongPattern(rest); what != "" {
			o.Fail(name+"["+strconv.Itoa(i)+"]", strconv.Quote(p)+" "+what)
		}
	}
	if !includes {
		o.Fail(name, `has no pattern that includes anything; "**" is every name`)
	}
	return patterns
}

func wrongPattern(p string) string {
	if strings.Count(p, "**") > maxDeep {
		return `has "**" more than ` + strconv.Itoa(maxDeep) + " times"
	}
	for segment := range strings.SplitSeq(p, "/") {
		switch {
		case segment == "":
			return "has an empty segment"
		case segment != "**" && strings.Contains(segment, "**"):
			return `has "**" beside other characters; it stands for whole segments`
		case strings.TrimLeft(segment, nameCharacters) != "":
			return "can match no name: names have letters, digits, '.', '_', '~', ':', '@', '+' and '-'"
		}
	}
	return ""
}

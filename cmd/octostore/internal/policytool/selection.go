package policytool

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Select returns the cases whose names a pattern matches anywhere, as go test -run does.
// A file that is about its configuration has no cases; its own name counts, without
// ".json". It is an error if nothing is left: a test of nothing is none.
func Select(fixtures []Fixture, names *regexp.Regexp) ([]Fixture, error) {
	var selected []Fixture
	for _, f := range fixtures {
		f.Cases = slices.DeleteFunc(slices.Clone(f.Cases), func(e Expectation) bool { return !names.MatchString(e.Name) })
		name := strings.TrimSuffix(filepath.Base(f.Path), ".json")
		if len(f.Cases) > 0 || f.LoadError != "" && names.MatchString(name) {
			selected = append(selected, f)
		}
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("no case has a name that matches %q", names)
	}
	return selected, nil
}

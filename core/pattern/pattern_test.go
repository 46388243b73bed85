package pattern

import (
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

func TestNamesAreSelected(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		yes, no  string
	}{
		{"prod/**", "prod/a prod/a/b", "prod production/a a/prod/b"},
		{"**", "a a/b a/b/c", ""},
		{"prod/** !prod/tmp/**", "prod/a prod/tmp", "prod/tmp/a prod/tmp/a/b"},
		{"prod/** !prod/tmp/** prod/tmp/keep", "prod/tmp/keep", "prod/tmp/other"},
		{"*", "a abc", "a/b"},
		{"prod/*", "prod/a", "prod prod/a/b"},
		{"db-*", "db- db-1", "db xdb-1 db-1/x"},
		{"a*b*c", "abc axbxc abbcc", "ab acb abcx"},
		{"**/db", "x/db x/y/db", "db x/db/z"},
		{"a/**/z", "a/b/z a/b/c/z a/z/z", "a/z a/b"},
	} {
		ps, err := Parse(strings.Fields(tt.patterns))
		if err != nil {
			t.Errorf("%s: %v", tt.patterns, err)
			continue
		}
		for _, name := range strings.Fields(tt.yes) {
			if !ps.Match(lock.Name(name)) {
				t.Errorf("%s does not match %s", tt.patterns, name)
			}
		}
		for _, name := range strings.Fields(tt.no) {
			if ps.Match(lock.Name(name)) {
				t.Errorf("%s matches %s", tt.patterns, name)
			}
		}
	}
	for _, wrong := range []string{"!prod/**", "", "/a", "a//b", "a**", "**/a/**/b/**/c/**", "prod/x?", "prod /a"} {
		if ps, err := Parse([]string{wrong}); err == nil {
			t.Errorf("%q is taken: %v", wrong, ps)
		}
	}
}

// Whoever looks only below the prefixes misses nothing.
func TestPrefixesAndAll(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		prefixes []string
		all      bool
	}{
		{"**", []string{""}, true},
		{"prod/**", []string{"prod/"}, false},
		{"prod/** !prod/tmp/**", []string{"prod/"}, false},
		{"db-*/x deploy/prod", []string{"db-", "deploy/prod"}, false},
		{"a/** **", []string{"a/", ""}, true},
		{"** !a/**", []string{""}, false},
		{"** a", []string{"", "a"}, false}, // it is, but nobody needs to know
	} {
		ps, err := Parse(strings.Fields(tt.patterns))
		if err != nil {
			t.Fatal(err)
		}
		if got := ps.Prefixes(); !slices.Equal(got, tt.prefixes) || ps.All() != tt.all {
			t.Errorf("%s: prefixes %q, all %v", tt.patterns, got, ps.All())
		}
		if got := ps.String(); got != strings.ReplaceAll(tt.patterns, " ", ",") {
			t.Errorf("%s is written as %s", tt.patterns, got)
		}
	}
}

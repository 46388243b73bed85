package pattern

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

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
		{"refs/heads/**", "refs/heads/release refs/heads/a+b/@c", "refs/heads refs/tags/v1"},
		{"@types/*", "@types/node @types/a@1", "types/node @types/a/b"},
		{"*:57400", "Router-A:57400 a:b:57400", "Router-A:5740 :57400/x"},
		{"~*+*", "~+ ~a+b:c", "a~+ ~a"},
		{"arn:aws:s3:::*/** !**/*@old", "arn:aws:s3:::b/x", "arn:aws:s3:::b arn:aws:s3:::b/x@old"},
		{strings.Repeat("a", lock.MaxSegment) + "*", strings.Repeat("a", lock.MaxSegment), "a"},
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
	for _, wrong := range []string{"!prod/**", "", "/a", "a//b", "a**", "**/a/**/b/**/c/**", "prod/x?", "prod /a", "a,b", "k=v", "a#b", "größe", "a!b", strings.Repeat("a", lock.MaxSegment+1), strings.Repeat("a", lock.MaxSegment+1) + "*"} {
		if ps, err := Parse([]string{wrong}); err == nil {
			t.Errorf("%q is taken: %v", wrong, ps)
		}
	}
}

// A search below the prefixes misses no name.
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
		{"** a", []string{"", "a"}, false}, // it is, but no caller needs to know
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

// A caller chooses the name, and the lock table's own loop asks whether a policy covers it.
func TestPatternOfManyDeepsIsQuick(t *testing.T) {
	pattern := strings.Split(strings.Repeat("**/a/", 20)+"x", "/")
	name := strings.Repeat("a/", lock.MaxName/2-1) + "a"
	start := time.Now()
	if matchSegments(pattern, name) {
		t.Errorf("%s matches", name)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestPatternsMatchAsTheirDefinitionSays(t *testing.T) {
	var byDefinition func(pattern, name []string) bool
	byDefinition = func(pattern, name []string) bool {
		switch {
		case len(pattern) == 0 || len(name) == 0:
			return len(pattern) == len(name)
		case pattern[0] == "**":
			return byDefinition(pattern[1:], name[1:]) || byDefinition(pattern, name[1:])
		}
		return matchSegment(pattern[0], name[0]) && byDefinition(pattern[1:], name[1:])
	}
	random := rand.New(rand.NewPCG(1, 2))
	some := func(most int, of ...string) (all []string) {
		for range 1 + random.IntN(most) {
			all = append(all, of[random.IntN(len(of))])
		}
		return all
	}
	for range 100_000 {
		pattern, name := some(6, "**", "**", "*", "a", ":@", "a*", "*+"), some(8, "a", ":@", "ab", "a+", "~")
		want := byDefinition(pattern, name)
		if got := matchSegments(pattern, strings.Join(name, "/")); got != want {
			t.Fatalf("%q and %q: %t, want %t", pattern, name, got, want)
		}
	}
}

package expr

import (
	"regexp"
	"strings"
	"testing"
)

func TestExprMatchesWholeTexts(t *testing.T) {
	for _, c := range []struct {
		expression, text string
		want             bool
	}{
		{"OPS-[0-9]+", "OPS-1", true},
		{"OPS-[0-9]+", "OPS-", false},
		{"OPS-[0-9]+", "x OPS-1", false},
		{"OPS-[0-9]+", "OPS-1 x", false},
		{"OPS-[0-9]+", "OPS-1\n", false},
		{"^OPS-[0-9]+$", "OPS-1", true},
		{"a|bc", "abc", false},
		{"a|bc", "bc", true},
		{"(?i)ops", "oPs", true},
		{"", "", true},
		{"", "a", false},
		{`\p{L}+`, "straße", true},
		{`\bOPS\b`, "OPS", true},
		{`\bé\b`, "é", false},
		{"(?m)a$\n^b", "a\nb", true},
		{"a?^b", "b", true},
		{"a$b", "ab", false},
	} {
		e, err := Compile(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Match(c.text); got != c.want {
			t.Errorf("%q matches %q: %t", c.expression, c.text, got)
		}
	}
}

func TestExprRefusesWhatIsNone(t *testing.T) {
	for _, expression := range []string{"a)|(b", "[", "*", `\8`, "a{1001}"} {
		if e, err := Compile(expression); err == nil {
			t.Errorf("%q is %v", expression, e)
		}
	}
}

// The table has to be there for the expressions people write; the rest is only slower.
func TestExprTables(t *testing.T) {
	for expression, want := range map[string]bool{
		"^(OPS|INC)-[0-9]+$": true, "[A-Z]{2,10}-[1-9][0-9]{0,6}": true, "(?i)chg[0-9]{7}|none(, .+)?": true,
		"[a-z]{9,50}": true, `\bOPS`: false, "(?m)^a$": false, "(a|b)*a(a|b){9}": false, // 1,024 states
	} {
		e, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.table != nil; got != want {
			t.Errorf("%q has a table: %t", expression, got)
		}
	}
}

func TestExprMatchLeavesNoGarbage(t *testing.T) {
	for _, expression := range []string{"[A-Z]{2,10}-[1-9][0-9]*", `\b[A-Z]{2,10}-[1-9][0-9]*`} {
		e, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		text := "OPS-1" + strings.Repeat("0", 500)
		if n := testing.AllocsPerRun(10, func() { e.Match(text) }); n != 0 || !e.Match(text) {
			t.Errorf("%s: %v allocations", expression, n)
		}
	}
}

// Package regexp is the judge of every expression and text.
func FuzzExprIsRegexp(f *testing.F) {
	for _, seed := range [][2]string{
		{"^(OPS|INC)-[0-9]+$", "OPS-12"}, {"a*|b+?", "bb"}, {"(?i)k", "K"}, {"(?s).", "\n"}, {".", "\n"}, {"[^a]", "b"}, {"(a|ab)(c|bcd)", "abcd"},
		{"(?:)*", ""}, {"(^a|b$)*", "ab"}, {`\A\z|x`, "x"}, {"[[:^ascii:]]|a", "a"}, {"(|a)*b{2,3}", "aabb"}, {"x{0}", ""}, {`[^\x00-\x7f]`, "a"}, {"\xff", "a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		if len(expression) > 100 {
			return
		}
		alone, err := regexp.Compile(expression)
		e, wrong := Compile(expression)
		if err != nil && wrong == nil {
			t.Fatalf("%q: %v, want %v", expression, wrong, err)
		}
		if wrong != nil {
			return // also what is too large with its anchors
		}
		want := regexp.MustCompile(`\A(?:` + alone.String() + `)\z`).MatchString(text)
		if got := e.Match(text); got != want {
			t.Errorf("%q matches %q: %t", expression, text, got)
		}
	})
}

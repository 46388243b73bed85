// Package expr matches whole texts with regular expressions at a price in fuel that suits a
// policy. Compile in configure, which has a budget of its own:
//
//	ticket, err := expr.Compile("OPS-[0-9]+")
//
// Package regexp needs thousands of units of fuel for each byte of a text. This one makes a table
// of the expression, so that a byte is a look into it.
package expr

import "regexp"

// Expr is a compiled regular expression.
type Expr struct {
	table *table // nil: the expression has no table
	whole *regexp.Regexp
}

// Compile compiles a regular expression of package regexp, which has to match a whole text, with
// or without ^ and $. Its error says what is wrong with the expression.
func Compile(expression string) (*Expr, error) {
	// By itself first: a)|(b is none, though it would be one within the parentheses.
	if _, err := regexp.Compile(expression); err != nil {
		return nil, err
	}
	anchored := `\A(?:` + expression + `)\z`
	whole, err := regexp.Compile(anchored)
	if err != nil {
		return nil, err
	}
	return &Expr{table: tableOf(anchored), whole: whole}, nil
}

// Match reports whether the expression matches the whole of a text. It takes time in proportion to
// the length of the text and leaves no garbage. Texts beyond ASCII, and expressions with word
// boundaries, (?m), or more than 200 states, are matched by package regexp and cost many times
// as much fuel.
func (e *Expr) Match(text string) bool {
	if e.table != nil {
		if matches, ascii := e.table.match(text); ascii {
			return matches
		}
	}
	return e.whole.MatchString(text)
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// document has the table between two marker lines.
const (
	document    = "docs/guarantees.md"
	tableBegins = "<!-- mutants: written by go run ./cmd/mutants -markdown -->\n"
	tableEnds   = "<!-- end of mutants -->\n"
)

func printList(list []mutant) {
	for _, m := range list {
		fmt.Printf("%-28s %s: %s\n", m.name, m.file, m.breaks)
	}
}

func printResult(r result) {
	fmt.Printf("%-28s %-10s %5.1fs  %s\n", r.mutant.name, r.outcome, r.took.Seconds(), r.by())
	if r.outcome == broken {
		fmt.Println(r.output)
	}
}

// by says who caught the mutant.
func (r result) by() string {
	const most = 3
	tests := r.tests
	more := ""
	if len(tests) > most {
		more = fmt.Sprintf(" and %d more", len(tests)-most)
		tests = tests[:most]
	}
	if len(tests) == 0 {
		return ""
	}
	return r.where() + ": " + strings.Join(tests, ", ") + more
}

// where is the package among the arguments of go test.
func (r result) where() string {
	for arg := range strings.FieldsSeq(r.run) {
		if pkg, ok := strings.CutPrefix(arg, "./"); ok {
			return pkg
		}
	}
	return r.run
}

// writeDocument puts the table into the document.
func writeDocument(results []result) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(text, []byte(tableBegins))
	_, after, closed := bytes.Cut(rest, []byte(tableEnds))
	if !found || !closed {
		return fmt.Errorf("%s does not have the lines %q and %q", document, tableBegins, tableEnds)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(tableBegins)
	b.WriteString("\n| sabotage | what it breaks | caught by |\n|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.mutant.name, r.mutant.breaks, r.markdown())
	}
	b.WriteString("\n" + tableEnds)
	b.Write(after)
	return os.WriteFile(document, b.Bytes(), 0o644)
}

func (r result) markdown() string {
	if r.outcome == survived || r.outcome == broken {
		return "**" + r.outcome.String() + "**"
	}
	by := r.by()
	if r.outcome == timedOut {
		by += " (it hangs)"
	}
	return by
}

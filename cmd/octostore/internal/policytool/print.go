package policytool

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Print writes the report for people. It shows failed cases, and with all set every case.
func (r TestReport) Print(w io.Writer, all bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (sha256 %s…)\n", r.Module, r.Digest[:16])
	for _, f := range r.Files {
		f.print(&b, all)
	}
	outcome := "all as expected"
	if r.Failed > 0 {
		outcome = fmt.Sprintf("%d FAILED", r.Failed)
	}
	fmt.Fprintf(&b, "%s, each asked fresh, in order and shuffled (seed %d): %s\n", plural(r.Cases, "case"), r.Seed, outcome)
	_, err := io.WriteString(w, b.String())
	return err
}

func (f FileReport) print(b *strings.Builder, all bool) {
	failed := len(f.Failures)
	most := int64(0)
	for _, c := range f.Cases {
		most = max(most, c.Fuel)
		if len(c.Failures) > 0 {
			failed++
		}
	}
	outcome := "ok"
	if failed > 0 {
		outcome = "FAILED"
	}
	what := "refuses its configuration"
	if len(f.Cases) > 0 {
		what = fmt.Sprintf("%s, at most %d fuel", plural(len(f.Cases), "case"), most)
	} else if failed > 0 {
		what = "configuration"
	}
	fmt.Fprintf(b, "  %-6s  %s: %s\n", outcome, filepath.Base(f.Path), what)
	for _, text := range f.Failures {
		fmt.Fprintf(b, "            %s\n", text)
	}
	if c := hungriest(f.Cases); c != nil {
		fmt.Fprintf(b, "            fuel: %s %s\n", c.Name, c.Advice)
	}
	for _, c := range f.Cases {
		c.print(b, all)
	}
}

// hungriest returns the case with fuel advice that needs most; nil: all have enough.
func hungriest(cases []CaseReport) (most *CaseReport) {
	for n := range cases {
		c := &cases[n]
		if c.Advice != nil && (most == nil || most.Advice.Needs > 0 && (c.Advice.Needs == 0 || c.Advice.Needs > most.Advice.Needs)) {
			most = c
		}
	}
	return most
}

func (c CaseReport) print(b *strings.Builder, all bool) {
	if len(c.Failures) == 0 && !all {
		return
	}
	fmt.Fprintf(b, "            %s: %s, %d fuel\n", c.Name, c.Verdict, c.Fuel)
	for _, text := range c.Failures {
		fmt.Fprintf(b, "              %s\n", text)
	}
	for _, l := range c.Logs {
		fmt.Fprintf(b, "              log %s: %s\n", l.Level, l.Text)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

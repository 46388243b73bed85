package manpages

import (
	"bytes"
	"strings"
)

// roff is a page in the language of man(7).
type roff struct{ bytes.Buffer }

var escapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`, "…", "...", "→", "->")

// text returns words such that roff shows them as they are.
func text(words string) string {
	escaped := escapes.Replace(words)
	if strings.HasPrefix(escaped, ".") {
		return `\&` + escaped // would be a request
	}
	return escaped
}

func bold(words string) string   { return `\fB` + text(words) + `\fR` }
func italic(words string) string { return `\fI` + text(words) + `\fR` }

func (r *roff) line(text string) { r.WriteString(text + "\n") }

// title has no date: the same release has the same pages whenever they are made.
func (r *roff) title(name, source string) {
	r.line(`.TH "` + text(strings.ToUpper(name)) + `" "1" "" "` + text(source) + `" "OctoStore"`)
}

func (r *roff) section(title string) { r.line(`.SH "` + title + `"`) }

// item writes a term, which is escaped, and what it means.
func (r *roff) item(term, meaning string) {
	r.line(".TP")
	r.line(term)
	r.line(text(strings.ReplaceAll(meaning, "\n", " ")))
}

// prose writes paragraphs, which empty lines separate. One with indented lines is a table or
// an example, and stays as it is.
func (r *roff) prose(words string) {
	for i, paragraph := range strings.Split(words, "\n\n") {
		if i > 0 {
			r.line(".PP")
		}
		if strings.Contains("\n"+paragraph, "\n ") || strings.Contains(paragraph, "\n\t") {
			r.literal(paragraph)
			continue
		}
		for line := range strings.Lines(strings.TrimSpace(paragraph)) {
			r.line(text(strings.TrimSpace(line)))
		}
	}
}

// literal writes lines as they are.
func (r *roff) literal(lines string) {
	r.line(".nf")
	for line := range strings.Lines(strings.Trim(lines, "\n")) {
		r.line(text(strings.TrimRight(line, "\n")))
	}
	r.line(".fi")
}

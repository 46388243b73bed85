package api_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/api.md and the page at /docs")

// The pages that are made of openapi.yaml.
const (
	markdownPath = "../../docs/api.md"
	htmlPath     = "../internal/ui/static/docs.html"
)

// TestReferenceIsThatOfTheDescription makes the reference of the API: docs/api.md, and the same
// as the HTML that a server shows at /docs. Run it with -update after a change of openapi.yaml.
func TestReferenceIsThatOfTheDescription(t *testing.T) {
	r := &reference{T: t, spec: description(t)}
	r.write()
	text := r.out.String()
	compare(t, markdownPath, text)
	compare(t, htmlPath, pageOf(t, text))
}

func compare(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not that of openapi.yaml (-want +got); go test -run Reference ./transport/api -update writes it:\n%s", path, diff)
	}
}

// reference writes the page.
type reference struct {
	*testing.T
	spec   node
	out    bytes.Buffer
	common map[string]node // answers that most requests can get, by status and name
}

func (r *reference) printf(format string, args ...any) { fmt.Fprintf(&r.out, format, args...) }

// operation is one request of the API.
type operation struct {
	node

	method, path string
	shared       node // parameters of its path
}

func (o operation) title() string { return o.method + " " + o.path }

// anchor is the id that GitHub gives a heading.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			return c
		case 'A' <= c && c <= 'Z':
			return c - 'A' + 'a'
		}
		return -1
	}, heading)
}

func (r *reference) write() {
	r.printf("# API\n\n%s\n\n%s\n\n", r.spec.get("info", "summary").text(),
		"A server shows this page at `/docs`, and the OpenAPI document that it is made of at `/openapi.yaml`. "+
			"The examples are for a server without tokens; with tokens, add `-H \"Authorization: Bearer $OCTOSTORE_TOKEN\"`.")
	byTag := map[string][]operation{}
	var tags []string
	for tag := range r.spec.get("tags").items() {
		tags = append(tags, tag.get("name").text())
	}
	for path, item := range r.spec.get("paths").members() {
		for method, op := range item.members() {
			if method == "parameters" {
				continue
			}
			o := operation{node: op, method: strings.ToUpper(method), path: path, shared: item.get("parameters")}
			for tag := range op.get("tags").items() {
				if !slices.Contains(tags, tag.text()) {
					r.Errorf("%s has the tag %s, which is not in the list of tags", o.title(), tag.text())
				}
				byTag[tag.text()] = append(byTag[tag.text()], o)
			}
		}
	}
	r.findCommon(byTag)
	r.printf("## Contents\n\n")
	r.contents(tags, byTag)
	r.printf("## Conventions\n\n%s\n\n", r.spec.get("info", "description").text())
	r.commonAnswers()
	for _, tag := range tags {
		r.printf("## %s\n\n", capital(tag))
		for _, o := range byTag[tag] {
			r.operation(o)
		}
	}
	r.schemas()
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// findCommon finds the answers that most requests can get. The page has them once.
func (r *reference) findCommon(byTag map[string][]operation) {
	all, used := 0, map[string]int{}
	for _, operations := range byTag {
		for _, o := range operations {
			all++
			for status, answer := range o.get("responses").members() {
				used[status+" "+answer.ref()]++
			}
		}
	}
	r.common = map[string]node{}
	for name, answer := range r.spec.get("components", "responses").members() {
		for status := 400; status < 600; status++ {
			if key := fmt.Sprint(status, " ", name); 3*used[key] > all {
				r.common[key] = answer
			}
		}
	}
}

func (r *reference) commonAnswers() {
	r.printf("## %s\n\n%s\n\n| answer | content | meaning |\n|---|---|---|\n", commonTitle,
		"Most requests can get these answers. Each request below names those it can get, and explains only its own.")
	for _, key := range slices.Sorted(maps.Keys(r.common)) {
		status, _, _ := strings.Cut(key, " ")
		r.printf("| %s | %s | %s |\n", status, r.contentsOf(r.common[key]), r.common[key].get("description").line())
	}
	r.printf("\n")
}

const commonTitle = "Common answers"

func (r *reference) contents(tags []string, byTag map[string][]operation) {
	for _, tag := range tags {
		r.printf("* [%s](#%s)\n", capital(tag), tag)
		for _, o := range byTag[tag] {
			r.printf("  * [`%s`](#%s): %s\n", o.title(), anchor(o.title()), o.get("summary").line())
		}
	}
	r.printf("* [Schemas](#schemas)\n\n")
}

func (r *reference) operation(o operation) {
	r.printf("### `%s`\n\n**%s.**", o.title(), strings.TrimSuffix(o.get("summary").line(), "."))
	if text := o.get("description").text(); text != "" {
		r.printf(" %s", text)
	}
	if security := o.get("security"); security.exists() && len(security.own.Content) == 0 {
		r.printf("\n\nNeeds no token.")
	}
	r.printf("\n\n```sh\n%s\n```\n\n", curl(o))
	r.parameters(o)
	r.body(o)
	r.answers(o)
}

func (r *reference) parameters(o operation) {
	var rows []string
	for _, list := range []node{o.shared, o.get("parameters")} {
		for p := range list.items() {
			if p.ref() == "requestID" {
				continue // every request has it
			}
			in := p.get("in").text()
			if p.get("required").text() == "true" {
				in += ", required"
			}
			rows = append(rows, fmt.Sprintf("| `%s` (%s) | %s | %s |\n", p.get("name").text(), in, r.cell(p.get("schema")), p.get("description").line()))
		}
	}
	if len(rows) > 0 {
		r.printf("| parameter | value | meaning |\n|---|---|---|\n%s\n", strings.Join(rows, ""))
	}
}

func (r *reference) body(o operation) {
	schema := o.get("requestBody", "content", "application/json", "schema")
	if !schema.exists() || schema.ref() == "NoBody" {
		return
	}
	r.printf("Body: %s", r.kind(schema))
	if text := o.get("requestBody", "description").line(); text != "" {
		r.printf(". %s", text)
	}
	r.printf("\n\n")
}

// answers writes the table of answers, and an example of the first one.
func (r *reference) answers(o operation) {
	r.printf("| answer | content | meaning |\n|---|---|---|\n")
	example := ""
	var others []string
	for status, answer := range o.get("responses").members() {
		if _, is := r.common[status+" "+answer.ref()]; is {
			others = append(others, strings.TrimSpace(status+" "+strings.ReplaceAll(r.contentsOf(answer), "`text/plain`", "")))
			continue
		}
		if one := exampleOf(answer.get("content", "application/json")); one.exists() && status == "200" {
			example = one.json(r.T)
		}
		r.printf("| %s | %s | %s |\n", status, r.contentsOf(answer), answer.get("description").line())
	}
	r.printf("\n")
	if others != nil {
		r.printf("[%s](#%s): %s.\n\n", commonTitle, anchor(commonTitle), strings.Join(others, ", "))
	}
	if example != "" {
		r.printf("```json\n%s\n```\n\n", example)
	}
}

// contentsOf says what an answer has in it.
func (r *reference) contentsOf(answer node) string {
	var contents []string
	for kind, content := range answer.get("content").members() {
		shown := r.kind(content.get("schema"))
		switch {
		case kind == "application/problem+json":
			shown = r.codes(content.get("schema"))
		case kind != "application/json":
			shown = "`" + kind + "`"
		}
		contents = append(contents, shown)
	}
	return strings.Join(contents, " or ")
}

func exampleOf(content node) node {
	if one := content.get("example"); one.exists() {
		return one
	}
	for _, one := range content.get("examples").members() {
		return one.get("value")
	}
	return node{}
}

// codes returns the codes of a problem.
func (r *reference) codes(schema node) string {
	found := map[string]bool{}
	var look func(node)
	look = func(n node) {
		code := n.member("properties").get("code")
		if value := code.member("const").text(); value != "" {
			found[value] = true
		}
		for value := range code.member("enum").items() {
			found[value.text()] = true
		}
		for _, key := range []string{"oneOf", "anyOf", "allOf"} {
			for one := range n.member(key).items() {
				look(one)
			}
		}
	}
	look(schema)
	var all []string
	for _, code := range slices.Sorted(maps.Keys(found)) {
		all = append(all, "`"+code+"`")
	}
	if all == nil {
		return "[Problem](#problem-schema)"
	}
	return strings.Join(all, " ")
}

func (r *reference) schemas() {
	r.printf("## Schemas\n\nMembers that are not marked as optional are always present.\n\n")
	for name, schema := range r.spec.get("components", "schemas").members() {
		if strings.HasSuffix(name, "Form") || name == "NoBody" {
			continue // a form has the members of the body
		}
		r.printf("### %s schema\n\n", name)
		if text := schema.get("description").text(); text != "" {
			r.printf("%s\n\n", text)
		}
		if !schema.get("properties").exists() {
			r.printf("%s\n\n", r.kindOf(schema))
			continue
		}
		required := map[string]bool{}
		for one := range schema.get("required").items() {
			required[one.text()] = true
		}
		r.printf("| member | value | meaning |\n|---|---|---|\n")
		for member, value := range schema.get("properties").members() {
			optional := ""
			if !required[member] {
				optional = ", optional"
			}
			r.printf("| `%s`%s | %s | %s |\n", member, optional, r.cell(value), value.member("description").line())
		}
		r.printf("\n")
	}
}

// cell is kind for a cell of a table.
func (r *reference) cell(schema node) string { return strings.ReplaceAll(r.kind(schema), "|", `\|`) }

// kind says what values a schema has.
func (r *reference) kind(schema node) string {
	if name := schema.ref(); name != "" && !strings.HasSuffix(name, "Form") {
		return fmt.Sprintf("[%s](#%s)", name, anchor(name+" schema"))
	}
	return r.kindOf(schema)
}

func (r *reference) kindOf(schema node) string {
	if value := schema.get("const"); value.exists() {
		return "`" + value.text() + "`"
	}
	var words []string
	for value := range schema.get("enum").items() {
		words = append(words, "`"+value.text()+"`")
	}
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		for one := range schema.get(key).items() {
			words = append(words, r.kind(one))
		}
	}
	said := strings.Join(words, " or ")
	if said == "" {
		said = r.plain(schema)
	}
	if value := schema.get("default"); value.exists() {
		said += ", default `" + value.text() + "`"
	}
	return said
}

func (r *reference) plain(schema node) string {
	var types []string
	for one := range schema.get("type").items() {
		types = append(types, one.text())
	}
	if len(types) == 0 {
		types = append(types, schema.get("type").text())
	}
	said := strings.Join(types, " or ")
	if said == "array" {
		said = "array of " + r.kind(schema.get("items"))
	}
	if values := schema.get("additionalProperties"); said == "object" && values.get("type").exists() {
		said = "object of " + r.kind(values) + " values"
	}
	low, high := schema.get("minimum").text(), schema.get("maximum").text()
	switch {
	case low != "" && high != "":
		said += ", " + low + " to " + high
	case low != "":
		said += ", " + low + " or more"
	}
	if longest := schema.get("maxLength").text(); longest != "" {
		said += ", at most " + longest + " characters"
	}
	if pattern := schema.get("pattern").text(); pattern != "" {
		said += ", matches `" + pattern + "`"
	}
	return said
}

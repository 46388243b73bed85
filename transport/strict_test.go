package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/oasdiff/yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/octostore/octostore/transport/api"
)

// The validator that knows OpenAPI is lenient about what is beside a reference, and does not
// know all of JSON Schema. Strict clients do: so every body in every test is held to its
// schema by a validator of JSON Schema too.

// strictly finds the schemas in openapi.yaml by where they are.
type strictly struct {
	doc      any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by pointer
}

var strict = sync.OnceValue(func() *strictly {
	text, err := yaml.YAMLToJSON(api.OpenAPI)
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		panic(err)
	}
	return &strictly{doc: doc, compiler: c, schemas: map[string]*jsonschema.Schema{}}
})

// at returns what is at a place in the document and its pointer, behind all references.
func (s *strictly) at(pointer string, steps ...string) (any, string) {
	for _, step := range steps {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
	}
	var v any = s.doc
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		object, _ := v.(map[string]any)
		v = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	if object, is := v.(map[string]any); is {
		if ref, is := object["$ref"].(string); is && !strings.Contains(pointer, "/schema") {
			return s.at(strings.TrimPrefix(ref, "#"))
		}
	}
	return v, pointer
}

// check holds a body to the schema of what is at a pointer: an answer, or the body of a
// request. It reports false if the body has no JSON.
func (s *strictly) check(pointer, contentType string, body []byte) (held bool, err error) {
	contentType, _, _ = strings.Cut(contentType, ";")
	if contentType != "application/json" && contentType != "application/problem+json" || len(body) == 0 {
		return false, nil
	}
	schema, pointer := s.at(pointer, "content", contentType, "schema")
	if schema == nil {
		return true, fmt.Errorf("there is no schema for %s", contentType)
	}
	compiled, err := s.compiled(pointer)
	if err != nil {
		return true, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	return true, compiled.Validate(value)
}

func (s *strictly) compiled(pointer string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.schemas[pointer]; known != nil {
		return known, nil
	}
	compiled, err := s.compiler.Compile("openapi.json#" + pointer)
	s.schemas[pointer] = compiled
	return compiled, err
}

// operationAt returns the pointer of an operation, empty if there is none.
func (s *strictly) operationAt(path, method string) string {
	op, pointer := s.at("/paths", path, strings.ToLower(method))
	if op == nil {
		return ""
	}
	return pointer
}

// checkStrictly holds the bodies of a request and of its answer to their schemas, and reports whether it
// did so to that of the answer.
func (s *server) checkStrictly(t testing.TB, r request, a answer) (answered bool) {
	t.Helper()
	rt, _ := s.match(r.http())
	if rt == nil {
		return false
	}
	op := strict().operationAt(rt.pattern, rt.method)
	if _, answer := strict().at(op, "responses", fmt.Sprint(a.status)); op != "" {
		var err error
		if answered, err = strict().check(answer, a.header.Get("Content-Type"), a.body); err != nil {
			t.Errorf("openapi.yaml does not allow this answer to %s: %v\n%d %s", r.line, err, a.status, a.body)
		}
	}
	if r.invalid || r.body == "" || a.status == 404 || a.status == 405 || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
		return answered
	}
	if _, err := strict().check(op+"/requestBody", "application/json", []byte(r.body)); err != nil {
		t.Errorf("openapi.yaml does not allow the body of %s: %v\n%s", r.line, err, r.body)
	}
	return answered
}

// TestStrictSchemasAllowTheirExamples holds every example of a body to its schema, and has
// every schema understood.
func TestStrictSchemasAllowTheirExamples(t *testing.T) {
	examples := 0
	var look func(pointer string, v any)
	look = func(pointer string, v any) {
		switch v := v.(type) {
		case []any:
			for i, item := range v {
				look(fmt.Sprintf("%s/%d", pointer, i), item)
			}
		case map[string]any:
			if content, is := v["content"].(map[string]any); is {
				for kind, media := range content {
					examples += checkExamples(t, pointer+" "+kind, media.(map[string]any), strict().schemaOf(t, pointer, kind))
				}
			}
			for name, member := range v {
				look(pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), member)
			}
		}
	}
	look("", strict().doc)
	if examples < 20 {
		t.Errorf("only %d examples were found", examples)
	}
	names, _ := strict().at("/components/schemas")
	for name := range names.(map[string]any) {
		if _, err := strict().compiled("/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (s *strictly) schemaOf(t *testing.T, pointer, kind string) *jsonschema.Schema {
	t.Helper()
	schema, at := s.at(pointer, "content", kind, "schema")
	if schema == nil {
		return nil
	}
	compiled, err := s.compiled(at)
	if err != nil {
		t.Errorf("%s: %v", at, err)
	}
	return compiled
}

func checkExamples(t *testing.T, where string, media map[string]any, schema *jsonschema.Schema) (n int) {
	t.Helper()
	var all []any
	if one, has := media["example"]; has {
		all = append(all, one)
	}
	if several, is := media["examples"].(map[string]any); is {
		for _, one := range several {
			example := one.(map[string]any)
			if ref, is := example["$ref"].(string); is {
				found, _ := strict().at(strings.TrimPrefix(ref, "#"))
				example = found.(map[string]any)
			}
			all = append(all, example["value"])
		}
	}
	for _, example := range all {
		if schema == nil {
			t.Errorf("%s has an example and no schema", where)
			continue
		}
		if err := schema.Validate(example); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	return len(all)
}

// TestStrictSchemasHaveTypes looks for a choice of words without a type. To generators of
// clients that is anything.
func TestStrictSchemasHaveTypes(t *testing.T) {
	var look func(pointer string, v any)
	look = func(pointer string, v any) {
		object, is := v.(map[string]any)
		if !is {
			return
		}
		if _, words := object["enum"].([]any); words && object["type"] == nil {
			t.Errorf("%s has an enum and no type", pointer)
		}
		for name, member := range object {
			look(pointer+"/"+name, member)
		}
	}
	look("", strict().doc)
}

// TestStrictBodiesMayBeEmptyObjects sends every POST the body that the description allows
// at least: a client may send {} where it has nothing to say.
func TestStrictBodiesMayBeEmptyObjects(t *testing.T) {
	s := newServer(t, setup{policies: ruled{}})
	for _, rt := range routeTable() {
		if rt.method != http.MethodPost {
			continue
		}
		path := strings.NewReplacer("{name}", "a", "{id}", "b").Replace(rt.pattern)
		a := s.do(t, "POST "+path, jsonBody("{}"), onPurpose)
		if p := (api.Problem{}); a.status == 400 && json.Unmarshal(a.body, &p) == nil && p.InvalidProblem != nil && p.Field == "body" {
			t.Errorf("%s: %s", rt.id, a.body)
		}
	}
	s.do(t, "POST /v1/logout", jsonBody(`{"x":1}`), onPurpose).wantInvalid("body")
	s.do(t, "POST /v1/logout", formBody("x=1"), onPurpose).wantInvalid("body")
	s.do(t, "POST /v1/policies/reload", jsonBody(" { } ")).want(200)
}

// TestStrictAnswersOfEveryStatus has every operation say which answers net/http gives by
// itself.
func TestStrictAnswersOfEveryStatus(t *testing.T) { byBothDoors(t, testStrictAnswersOfEveryStatus) }

func testStrictAnswersOfEveryStatus(t *testing.T) {
	for _, rt := range routeTable() {
		for _, status := range []string{"429", "431"} {
			if answer, _ := strict().at(strict().operationAt(rt.pattern, rt.method), "responses", status); answer == nil {
				t.Errorf("%s has no answer %s", rt.id, status)
			}
		}
	}
	w := dial(t, newServer(t, setup{}), listening(t, newServer(t, setup{})))
	w.raw("GET /v1/locks HTTP/1.1\r\nHost: localhost\r\nX-Large: " + strings.Repeat("x", maxHeader+8<<10) + "\r\n\r\n")
	if a := w.read(request{}); a.status != 431 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %s", a.status, a.header.Get("Content-Type"))
	}
}

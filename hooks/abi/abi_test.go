package abi

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// An author with only the page must be able to write a policy, so it has every name in the
// code.
func TestREADMENamesEverything(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for constant, text := range texts(t) {
		text = strings.TrimRight(text, ":.")
		if !strings.Contains(string(page), "`"+text) {
			t.Errorf("README.md does not explain %s, %q", constant, text)
		}
	}
}

// The names and numbers are a promise: changing one breaks modules that exist.
func TestNumbersAreFrozen(t *testing.T) {
	frozen := map[int]int{
		Allow: 0, Deny: 1, Absent: -1, LevelWarn: 2, LevelError: 3,
		MaxReason: 512, MaxNotes: 16, MaxNoteBytes: 4096, MinTTLCap: 1000,
	}
	for got, want := range frozen {
		if got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if PriorityBack != -1 || PriorityNormal != 0 || PriorityFront != 1 {
		t.Errorf("priorities are %d, %d and %d", PriorityBack, PriorityNormal, PriorityFront)
	}
	if len(texts(t)) < 40 {
		t.Errorf("only %d names; some are gone", len(texts(t)))
	}
}

// Every field of the document can be had by a key of its own as well.
func TestSchemaHasTheKeys(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(Schema, &schema); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := func(key string) bool { return strings.Contains(string(page), "`"+key) }
	for name, p := range schema.Properties {
		switch name { // those of fixtures stand for keys
		case "account_held":
			name = KeyAccountHeld
		case "account_groups":
			name = KeyAccountGroups
		case "locks":
			name = PrefixLockState
		case "held":
			name = PrefixHeld
		}
		if len(p.Properties) == 0 && !documented(name) {
			t.Errorf("the key %q of the schema is not on the page", name)
		}
		for inner := range p.Properties {
			if !documented(name + "." + inner) {
				t.Errorf("the key %q of the schema is not on the page", name+"."+inner)
			}
		}
	}
}

// texts returns the constants that are strings.
func texts(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "abi.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is || len(spec.Values) != 1 {
			return true
		}
		if lit, is := spec.Values[0].(*ast.BasicLit); is && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[spec.Names[0].Name] = text
		}
		return true
	})
	return found
}

package jsontext_test

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/core/jsontext"
)

func TestCheckNamesLineAndColumn(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "is not JSON at line 1, column 1: unexpected end",
		"{":                             "is not JSON at line 1, column 2: unexpected end",
		"{\n  \"a\": [1,\n\n":           "is not JSON at line 2, column 11: unexpected end",
		"{\n  \"a\": 1,\n}":             "is not JSON at line 3, column 1: invalid character '}'",
		"{\r\n\t\"a\" 1}":               "is not JSON at line 2, column 6: invalid character '1'",
		"{\"ä\": \"ö\" x}":              "is not JSON at line 1, column 11: invalid character 'x'",
		"{} {}":                         "is not JSON at line 1, column 4: invalid character '{' after top-level value",
		"(module)":                      "is not JSON at line 1, column 1: invalid character '('",
		"{\"a\": \"x\ty\"}":             "is not JSON at line 1, column 9: invalid character '\\t' in string",
		" [1, {\"a\": [true]}, \"\"]\n": "",
		"null":                          "",
	} {
		err := jsontext.Check([]byte(text))
		if err == nil && want != "" || err != nil && (want == "" || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestObjectHasEveryMemberOnce(t *testing.T) {
	got, err := jsontext.Object([]byte(` {"a": [1, {"b": 2}], "A": null} `))
	if err != nil || len(got) != 2 || string(got["a"]) != `[1, {"b": 2}]` || string(got["A"]) != "null" {
		t.Errorf("got %q, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"a":1,"\u0061":2}`: `has "a" twice`,
		`[]`:                 "is a list; want an object",
		`"x"`:                "is a string; want an object",
		`7`:                  "is 7; want an object",
		`null`:               "is null; want an object",
		"{\n":                "is not JSON at line 1, column 2",
		`{} 7`:               "is not JSON at line 1, column 4",
	} {
		if got, err := jsontext.Object([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

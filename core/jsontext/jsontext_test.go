package jsontext_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// Whatever the text, it is read or refused as encoding/json does, with a place in it.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{"", "{\n \"a\": 1,\n}", `{"a":1,"a":2}`, "[1,2", "nul", "\"\xff\"", "{} {}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := jsontext.Check(text)
		if (err == nil) != json.Valid(text) {
			t.Errorf("%q: got %v", text, err)
		}
		var line, column int
		if err != nil {
			if _, scan := fmt.Sscanf(err.Error(), "is not JSON at line %d, column %d:", &line, &column); scan != nil || line < 1 || column < 1 || line > bytes.Count(text, []byte("\n"))+1 || column > len(text)+1 {
				t.Errorf("%q: got %v", text, err)
			}
		}
		if _, objectErr := jsontext.Object(text); err != nil && objectErr == nil {
			t.Errorf("%q is an object, but %v", text, err)
		}
	})
}

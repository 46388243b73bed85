// Package jsontext reads JSON that people write, such as policy manifests, fixtures and
// configurations, strictly, with errors that name the place.
package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Check returns nil if text is one JSON value. The error begins with a verb, so that it can
// follow a file name. It has a line and a column, both from 1, columns in characters: "is
// not JSON at line 3, column 5: …".
func Check(text []byte) error {
	var value json.RawMessage
	err := json.Unmarshal(text, &value)
	syntax, is := errors.AsType[*json.SyntaxError](err)
	if !is {
		return err // nil: a raw value can hold everything else
	}
	at := int(syntax.Offset) - 1 // of the wrong character
	if err.Error() == "unexpected end of JSON input" {
		at = len(bytes.TrimRight(text, " \t\r\n"))
	}
	line, column := position(text, at)
	return fmt.Errorf("is not JSON at line %d, column %d: %w", line, column, err)
}

// position returns line and column of the byte at an offset.
func position(text []byte, at int) (line, column int) {
	before := text[:min(at, len(text))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

// Object returns the members of an object, and refuses duplicate names. With encoding/json
// alone the second of two members would silently replace the first. The error begins with
// a verb, like that of [Check].
func Object(text []byte) (map[string]json.RawMessage, error) {
	if err := Check(text); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if brace, err := dec.Token(); err != nil || brace != json.Delim('{') {
		return nil, fmt.Errorf("is %s; want an object", Kind(text))
	}
	members := map[string]json.RawMessage{}
	err := Members(dec, func(dec *json.Decoder, name string) error {
		if _, twice := members[name]; twice {
			return fmt.Errorf("has %q twice", name)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		members[name] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

// Malformed is the error of an object that is not JSON.
type Malformed struct{ Err error }

func (e *Malformed) Error() string { return e.Err.Error() }

// Unwrap returns the error of encoding/json.
func (e *Malformed) Unwrap() error { return e.Err }

// Members reads an object whose opening brace dec has read. It calls member with each name
// in order, duplicates included; member reads the value from dec. Errors: those of member,
// and [*Malformed].
func Members(dec *json.Decoder, member func(dec *json.Decoder, name string) error) error {
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return &Malformed{err}
		}
		if err := member(dec, name.(string)); err != nil { // JSON knows no other names
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return &Malformed{err}
	}
	return nil
}

// Kind returns the kind of a JSON value in words, such as "a list" or "a string". For
// numbers, booleans and null it returns the value itself.
func Kind(value []byte) string {
	value = bytes.TrimSpace(value)
	switch {
	case len(value) == 0:
		return "empty"
	case value[0] == '{':
		return "an object"
	case value[0] == '[':
		return "a list"
	case value[0] == '"':
		return "a string"
	}
	return string(value)
}

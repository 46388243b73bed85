package policytool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// members are the members a JSON object may have, each with where it goes. encoding/json
// alone would take "Name" for "name", and say too little about what is wrong.
type members map[string]any

// read reads an object; where names it in errors.
func (m members) read(where string, raw json.RawMessage) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil || given == nil {
		return fmt.Errorf("%s: want an object", where)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		to, known := m[name]
		if !known {
			return fmt.Errorf("%s.%s: is not known; want %s", where, name, strings.Join(slices.Sorted(maps.Keys(m)), ", "))
		}
		if err := json.Unmarshal(given[name], to); err != nil {
			return fmt.Errorf("%s.%s: want %s", where, name, wanted(to))
		}
	}
	return nil
}

// wanted says in words what a member takes.
func wanted(to any) string {
	switch to.(type) {
	case *string, **string:
		return "a text"
	case *int64, **int64:
		return "a whole number"
	case *bool:
		return "true or false"
	case *map[string]string:
		return "an object of texts"
	case *map[string]int64:
		return "an object of whole numbers"
	case *map[string]json.RawMessage:
		return "an object of objects"
	case *[]string, **[]string:
		return "an array of texts"
	case *[]json.RawMessage:
		return "an array"
	}
	return "an object"
}

// document reads the one JSON value in a text.
func document(text []byte) (json.RawMessage, error) {
	var raw json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&raw); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after its end")
	}
	return raw, nil
}

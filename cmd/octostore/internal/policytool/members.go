package policytool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/octostore/octostore/core/jsontext"
)

// members are the members a JSON object may have, each with where it goes. encoding/json
// alone would take "Name" for "name", and say too little about what is wrong. A number of
// milliseconds, whose name ends in _ms, may be given in its readable form instead: see
// readable.
type members map[string]any

// read reads an object; where names it in errors.
func (m members) read(where string, raw json.RawMessage) error {
	given, err := jsontext.Object(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if to, known := m[name]; known {
			if json.Unmarshal(given[name], to) != nil || string(given[name]) == "null" {
				return wrongType(where+"."+name, given[name], to)
			}
			continue
		}
		to, known := m[name+inMilliseconds]
		if !known {
			return fmt.Errorf("%s.%s: is not known; want %s", where, name, strings.Join(m.names(), ", "))
		}
		if _, both := given[name+inMilliseconds]; both {
			return fmt.Errorf("%s.%s: is there beside %s%s; want one of them", where, name, name, inMilliseconds)
		}
		if err := setReadable(name, given[name], to); err != nil {
			return fmt.Errorf("%s.%s: %w", where, name, err)
		}
	}
	return nil
}

// names are the members there may be, in all their forms.
func (m members) names() []string {
	all := slices.Collect(maps.Keys(m))
	for name := range m {
		if short, is := strings.CutSuffix(name, inMilliseconds); is {
			all = append(all, short)
		}
	}
	return slices.Sorted(slices.Values(all))
}

// wrongType says what a member is and what it should be, or that of its members that is
// wrong.
func wrongType(where string, given json.RawMessage, to any) error {
	var one any // of the members that it may have
	switch to.(type) {
	case *map[string]string:
		one = new(string)
	case *map[string]int64:
		one = new(int64)
	}
	if inner, err := jsontext.Object(given); err == nil && one != nil {
		for _, name := range slices.Sorted(maps.Keys(inner)) {
			if err := json.Unmarshal(inner[name], one); err != nil {
				return fmt.Errorf("%s.%s: is %s; want %s", where, name, jsontext.Kind(inner[name]), wanted(one))
			}
		}
	}
	return fmt.Errorf("%s: is %s; want %s", where, jsontext.Kind(given), wanted(to))
}

// wanted says in words what a member takes.
func wanted(to any) string {
	switch to.(type) {
	case *string, **string:
		return "a string"
	case *int64, **int64:
		return "a whole number"
	case *bool:
		return "true or false"
	case *map[string]string:
		return "an object of strings"
	case *map[string]int64:
		return "an object of whole numbers"
	case *map[string]json.RawMessage:
		return "an object of objects"
	case *[]string, **[]string:
		return "a list of strings"
	case *[]json.RawMessage:
		return "a list"
	}
	return "an object"
}

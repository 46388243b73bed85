package manifest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/jsontext"
)

// memberTypes describes the type of each member of a policy's entry in a manifest.
var memberTypes = map[string]string{
	"name":         `a string, such as "freeze"`,
	"module":       `a string, the path of a .wasm file`,
	"sha256":       `a string of 64 hex digits, or leave it out`,
	"match":        `a list, such as ["prod/**"]`,
	"hooks":        `a list, such as ["acquire", "renew"]`,
	"mode":         `"enforce", "shadow" or "off"`,
	"on_error":     `"deny" or "allow"`,
	"reads":        `a list of prefixes of lock names, such as ["incident/"]`,
	"fuel":         fmt.Sprintf("a whole number, such as %d", DefaultFuel),
	"memory_mib":   fmt.Sprintf("a whole number, such as %d", DefaultMemoryMiB),
	"config":       "an object, or leave it out",
	"observe_from": `"now" or "start"`,
}

// wrongType describes the given value of a member, and the right type.
func wrongType(name string, given []byte) string {
	var elements []json.RawMessage
	if strings.HasPrefix(memberTypes[name], "a list") && json.Unmarshal(given, &elements) == nil {
		for i, e := range elements {
			if e[0] != '"' {
				return fmt.Sprintf("%s: element %d is %s; want a string", name, i+1, jsontext.Kind(e))
			}
		}
	}
	return fmt.Sprintf("%s: is %s; want %s", name, jsontext.Kind(given), memberTypes[name])
}

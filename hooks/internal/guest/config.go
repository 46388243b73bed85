package guest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/octostore/octostore/hooks/abi"
)

// unreadConfig refuses a configuration that the module cannot read, because an operator would believe
// that it counts.
var unreadConfig = &Fault{"config", errors.New("the module has no configure; remove it")}

// MayReadConfig reports whether a module without the export configure may read its configuration: it
// can get the key config, whose name then is in its data.
func MayReadConfig(binary []byte) bool {
	const key = abi.KeyConfig
	wide := strings.Join(strings.Split(key, ""), "\x00") // UTF-16, as in AssemblyScript
	return bytes.Contains(binary, []byte(key)) || bytes.Contains(binary, []byte(wide))
}

// givesNothing reports whether a configuration is an empty object.
func givesNothing(config []byte) bool {
	return strings.Join(strings.Fields(string(config)), "") == "{}"
}

// TextHint returns an error with the solution if a module is in the text form of WebAssembly.
func TextHint(binary []byte) error {
	text := bytes.TrimLeft(bytes.TrimPrefix(binary, []byte("\xef\xbb\xbf")), " \t\r\n")
	for _, start := range []string{"(module", ";;", "(;"} {
		if bytes.HasPrefix(text, []byte(start)) {
			return errors.New("it is WebAssembly text (WAT), not a module; assemble it: wat2wasm FILE.wat -o FILE.wasm")
		}
	}
	return nil
}

// Package host connects the SDK to OctoStore: on WebAssembly it imports the functions of
// the interface, elsewhere guesttest replaces them.
package host

// The functions of the policy that the exports of the module call. Nil means that the policy
// registered none.
var (
	Check     func() int32
	Configure func() int32
	Observe   func() int32
)

// Unregistered is the result of an export without a registered function. It is an error,
// because a policy without a check must not look like one that allows.
const Unregistered = 2

// runConfigure lets the policy read its configuration. A policy without configure accepts
// only an empty object, so that no operator believes in a configuration without effect.
func runConfigure() int32 {
	if Configure != nil {
		return Configure()
	}
	var given [8]byte
	n := Get("config", given[:])
	for i := 0; i < min(n, len(given)); i++ {
		switch given[i] {
		case '{', '}', ' ', '\t', '\r', '\n':
		default:
			n = len(given) + 1
		}
	}
	if n > len(given) {
		Deny("config: the module has no configure; remove it")
		return 1
	}
	return 0
}

func run(export func() int32) int32 {
	if export == nil {
		return Unregistered
	}
	return export()
}

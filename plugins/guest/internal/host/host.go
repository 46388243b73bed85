// Package host is where the SDK meets OctoStore: on WebAssembly the functions that
// the interface offers, everywhere else what guesttest puts in their place.
package host

// What a policy answers when OctoStore calls it; the exports of the module lead here.
// Nil means that the policy did not register any.
var (
	Check     func() int32
	Configure func() int32
	Observe   func() int32
)

// Unregistered is what an export returns that has nothing to call: an error, for a
// policy that is asked what it does not know must not look like a yes.
const Unregistered = 2

// runConfigure has the policy read its configuration. One that reads none takes none but an
// empty object: else an operator would believe that it counts.
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

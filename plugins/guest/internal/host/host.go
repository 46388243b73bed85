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

func run(export func() int32) int32 {
	if export == nil {
		return Unregistered
	}
	return export()
}

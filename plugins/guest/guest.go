// Package guest is the SDK for policies in Go: WebAssembly modules that OctoStore asks
// before it gives, renews or breaks a lock. A whole policy:
//
//	package main
//
//	import (
//		"time"
//
//		"github.com/octostore/octostore/plugins/guest"
//	)
//
//	func init() { guest.Check(check) }
//
//	func main() {} // never called
//
//	func check(r guest.Request) guest.Verdict {
//		if r.TTL() > time.Hour {
//			return guest.Deny("a lease of more than an hour is not given")
//		}
//		return guest.Allow
//	}
//
// It is built with the plain Go toolchain:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w' -o policy.wasm .
//
// and tested natively, with package guesttest.
//
// # What to know
//
// A policy registers what it does in init; main is never called. A call is one
// goroutine's, and there is nothing to wait for: no files, no network, and the clock
// stands at the time of the decision.
//
// Every instruction costs fuel, and what makes garbage has it collected in some later
// call. So the getters, [Deny] and [Log] do not allocate: their strings lie in a buffer
// that the next call uses again. Use them freely within a call; what is to be kept,
// which should be nothing but the configuration, has to be copied with strings.Clone.
//
// What panics is an error of the policy, which the manifest's on_error decides about.
package guest

import (
	"time"

	"github.com/octostore/octostore/plugins/guest/internal/host"
)

// Verdict is the answer of a policy. The zero Verdict is [Allow].
type Verdict struct {
	denies bool
	reason string
	retry  time.Duration
}

// Allow lets the request go on, if all other policies do.
var Allow Verdict

// Deny refuses the request. The caller reads the reason, whose parts are put together,
// and which is cut at 512 bytes; without any it reads "denied by NAME".
func Deny(reason ...string) Verdict { return Verdict{denies: true, reason: join(reason)} }

// RetryAfter adds to a refusal when it is worth while to ask again. It is rounded up
// to whole milliseconds; negative counts as 0, which says nothing.
func (v Verdict) RetryAfter(d time.Duration) Verdict {
	v.retry = d
	return v
}

// Check registers the function that is asked about requests. Call it in init, once.
func Check(f func(Request) Verdict) {
	host.Check = func() int32 {
		begin()
		return f(Request{}).tell()
	}
}

func (v Verdict) tell() int32 {
	if !v.denies {
		return 0
	}
	if v.reason != "" {
		host.Deny(v.reason)
	}
	if v.retry > 0 {
		host.RetryAfterMS(int64((v.retry + time.Millisecond - 1) / time.Millisecond))
	}
	return 1
}

// Configure registers the function that reads the policy's configuration: valid JSON,
// "{}" if the manifest has none. It is called once in each instance, before anything
// else is asked; there is no request yet, and the bytes are its own. An error refuses
// the load and is what the operator reads, so it should name the member and what
// would be right; package strict does. Call Configure in init, once; a policy without it
// refuses every configuration but an empty object.
func Configure(f func(config []byte) error) {
	host.Configure = func() int32 {
		begin()
		if err := f([]byte(text("config"))); err != nil {
			host.Deny(err.Error())
			return 1
		}
		return 0
	}
}

// Observe registers the function that is given committed events, each at least once
// and in order. An error has the event given again, and after some failures put aside
// with the text of the error. Call it in init, once.
func Observe(f func(Event) error) {
	host.Observe = func() int32 {
		begin()
		if err := f(Event{text("event")}); err != nil {
			host.Deny(err.Error())
			return 1
		}
		return 0
	}
}

// Level is how much a line of the log matters.
type Level int32

// Levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log writes a line into the log of the server, under the policy's name, out of parts
// that are put together: at most 16 lines of 1 KiB in a call.
func Log(level Level, text ...string) { host.Log(int32(level), join(text)) }

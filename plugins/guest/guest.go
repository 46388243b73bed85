// Package guest is the SDK for policies in Go: WebAssembly modules that decide before
// OctoStore grants, renews or breaks a lock. A whole policy:
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
// Build it with the plain Go toolchain:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w' -o policy.wasm .
//
// and test it natively, with package guesttest.
//
// # What to know
//
// A policy registers its functions in init; main is never called. Each call runs in one
// goroutine, without files, network or other goroutines to wait for, and the clock stands at
// the time of the decision.
//
// Every instruction costs fuel, and garbage costs the fuel of a later call. So the getters,
// [Deny] and [Log] do not allocate: their strings are valid until the call returns, because
// the next call reuses their buffer. Copy strings to keep with strings.Clone; a policy should
// keep nothing but its configuration.
//
// A panic is an error of the policy: on_error in the manifest decides about the request.
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

// Allow allows the request, if all other policies do.
var Allow Verdict

// Deny denies the request. The client reads the reason: the concatenated parts, up to 512
// bytes; without parts "denied by NAME".
func Deny(reason ...string) Verdict { return Verdict{denies: true, reason: join(reason)} }

// RetryAfter adds the time after which the client should ask again. It is rounded up to
// whole milliseconds; 0 and less means no such time.
func (v Verdict) RetryAfter(d time.Duration) Verdict {
	v.retry = d
	return v
}

// Check registers the function that decides about requests. Call it in init, once.
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
// "{}" if the manifest has none. It runs once in each instance, before all other calls and
// without a request, and may keep the bytes. An error refuses the load. The operator reads
// it, so it should name the member and the right value, as package strict does. Call
// Configure in init, once; a policy without it accepts an empty object only.
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

// Observe registers the function that gets committed events, each at least once and in
// order. After an error the event comes again; after three failures it is parked, with the
// text of the error in the audit log. Call it in init, once.
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

// Level is the level of a log line.
type Level int32

// Levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log writes a line to the log of the server, under the policy's name: the concatenated
// parts. The limit is 16 lines of 1 KiB in a call.
func Log(level Level, text ...string) { host.Log(int32(level), join(text)) }

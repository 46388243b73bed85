//go:build wasip1

package host

import "unsafe"

//go:wasmimport octostore_v1 get
func get(key string, buf unsafe.Pointer, size int32) int32

// GetI64 returns the number of a field, or the smallest there is.
//
//go:wasmimport octostore_v1 get_i64
func GetI64(key string) int64

// Deny sets what the caller reads if check returns 1.
//
//go:wasmimport octostore_v1 deny
func Deny(reason string)

// RetryAfterMS says when the caller should ask again if check returns 1.
//
//go:wasmimport octostore_v1 retry_after_ms
func RetryAfterMS(n int64)

// Cap lowers a field of the request.
//
//go:wasmimport octostore_v1 cap
func Cap(key string, n int64)

// Note keeps a pair with the decision.
//
//go:wasmimport octostore_v1 note
func Note(key, value string)

// Log writes a line into the log of the server.
//
//go:wasmimport octostore_v1 log
func Log(level int32, text string)

// Get copies a field into buf and returns its whole length, or less than 0 if it is
// absent.
func Get(key string, buf []byte) int {
	return int(get(key, unsafe.Pointer(unsafe.SliceData(buf)), int32(len(buf))))
}

//go:wasmexport check
func check() int32 { return run(Check) }

//go:wasmexport observe
func observe() int32 { return run(Observe) }

//go:wasmexport configure
func configure() int32 { return runConfigure() }

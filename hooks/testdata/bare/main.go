//go:build wasip1

// Command bare is the policy of testdata/getters without the SDK, for benchmarks.
package main

import "unsafe"

//go:wasmimport octostore_v1 get
func get(key string, buf unsafe.Pointer, size int32) int32

//go:wasmimport octostore_v1 get_i64
func number(key string) int64

//go:wasmimport octostore_v1 deny
func deny(reason string)

var buffer [512]byte

func main() {}

//go:wasmexport check
func check() int32 {
	if number("ttl_ms") > 3_600_000 {
		deny("too long")
		return 1
	}
	ticket := get("metadata.ticket", unsafe.Pointer(&buffer), int32(len(buffer)))
	if get("lock.name", unsafe.Pointer(&buffer), int32(len(buffer))) == 0 && ticket <= 0 {
		deny("nameless")
		return 1
	}
	return 0
}

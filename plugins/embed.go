// Package plugins carries the source of the SDK for policies in Go, so that a new policy
// can be begun without a network. The bundled policies are commands in folders of
// their own.
package plugins

import "embed"

// SDK has the Go files of plugins/guest and of what is below it, without their tests, by
// their paths from this folder: "guest/guest.go". They need nothing but the standard
// library and each other. Laid down as plugins/ within a module named
// github.com/octostore/octostore they build as they are.
//
//go:embed guest/around.go guest/buffer.go guest/event.go guest/guest.go guest/match.go guest/request.go
//go:embed guest/expr/expr.go guest/expr/read.go guest/expr/table.go
//go:embed guest/guesttest/around.go guest/guesttest/call.go guest/guesttest/fixtures.go guest/guesttest/readable.go guest/guesttest/request.go
//go:embed guest/internal/host/host.go guest/internal/host/native.go guest/internal/host/wasm.go
//go:embed guest/internal/scan/scan.go
//go:embed guest/strict/names.go guest/strict/strict.go
var SDK embed.FS

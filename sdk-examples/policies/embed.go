// Package policies carries the example policies in C, Rust, WebAssembly text and
// AssemblyScript, so that a new policy in one of these languages begins as a copy of an
// example that is tested. README.md has the command that builds each.
package policies

import "embed"

// Examples has the sources, the fixtures that all of them answer, and the npm packages of
// the compilers, by their paths from this folder: "c/ticket.c".
//
//go:embed c/ticket.c rust/ticket.rs wat/ticket.wat assemblyscript/ticket.ts
//go:embed fixtures/ticket.json
//go:embed package.json package-lock.json .npmrc
var Examples embed.FS

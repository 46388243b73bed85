//go:build race

package compiler

// slowdown is the factor by which the race detector slows a compiler down.
const slowdown = 8

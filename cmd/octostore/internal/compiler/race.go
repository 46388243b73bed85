//go:build race

package compiler

// slowdown is how many times more a compiler takes that looks for data races itself.
const slowdown = 8

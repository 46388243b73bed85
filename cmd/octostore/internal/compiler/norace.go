//go:build !race

package compiler

const slowdown = 1

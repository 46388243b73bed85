// Package rules holds the tests of the repository itself: its targets, its
// directions, its documents' tables. It has no code.
package rules

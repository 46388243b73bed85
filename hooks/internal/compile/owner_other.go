//go:build !unix

package compile

import "io/fs"

// ownedHere does not know: access lists say who may write, and the folder above rules.
func ownedHere(fs.FileInfo) bool { return true }

// writableByOthers does not know either: the mode of a file does not tell.
func writableByOthers(fs.FileInfo) bool { return false }

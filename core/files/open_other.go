//go:build !unix

package files

// withoutWaiting is nothing where pipes have no place among the files.
const withoutWaiting = 0

// modesTell is false where the mode of a file says nothing of other users.
const modesTell = false

//go:build !unix

package files

// withoutWaiting is empty on systems without pipes in the file system.
const withoutWaiting = 0

// modesTell is false where the mode of a file does not show access of other users.
const modesTell = false

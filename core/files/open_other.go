//go:build !unix

package files

// withoutWaiting is nothing where pipes have no place among the files.
const withoutWaiting = 0

//go:build !unix

package lane

import "errors"

// canTry says that a socket can be read without waiting. Elsewhere a connection that waits has a
// buffer.
const canTry = false

func readSocket(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
func wouldBlock(error) bool                   { return false }

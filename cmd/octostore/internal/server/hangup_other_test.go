//go:build !unix

package server

import "errors"

func hangUp() error { return errors.ErrUnsupported }

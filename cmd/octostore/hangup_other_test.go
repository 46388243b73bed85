//go:build !unix

package main

import "errors"

func hangUp() error { return errors.ErrUnsupported }

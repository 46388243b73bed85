//go:build !linux

package sqlite

import "errors"

func mountedAlone(string) (bool, error) { return false, nil }

func mapBeginning(string, int) (mapped, error) { return mapped{}, errors.ErrUnsupported }

func (mapped) close() {}

//go:build !linux

package sqlite

import (
	"errors"
	"os"
)

const inodesLockable = false

func tryLockByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }

func isLockedByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }

func mountedAlone(string) (bool, error) { return false, nil }

func mapBeginning(string, int) (mapped, error) { return mapped{}, errors.ErrUnsupported }

func (mapped) close() {}

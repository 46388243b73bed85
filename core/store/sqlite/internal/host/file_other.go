//go:build !linux

package host

import "errors"

func mountedAlone(string) (bool, error) { return false, nil }

// Map maps nothing: only Linux has locks that let the file stay open.
func Map(string, int) (Mapped, error) { return Mapped{}, errors.ErrUnsupported }

// Close does nothing.
func (Mapped) Close() {}

// Exchange is for Linux only.
func Exchange(_, _ string) error { return errors.ErrUnsupported }

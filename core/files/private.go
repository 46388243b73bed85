package files

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrExposed is returned for a secret that all users of the machine may read or change.
var ErrExposed = errors.New("can be read or changed by everybody on this machine")

// ErrShared is returned for a private file that other users may read or change.
var ErrShared = errors.New("can be read or changed by others")

// ReadSecret is [Read] for a file that only its owner and a group may read or change. It
// also returns the file's description. It does not check modes on systems where they do not
// show access, such as Windows. Errors: also [ErrExposed].
func ReadSecret(path string, most int64) ([]byte, fs.FileInfo, error) {
	return readIf(path, most, func(mode fs.FileMode) error {
		if mode&0o006 == 0 || !modesTell {
			return nil
		}
		return fmt.Errorf(
			"%s %w (mode %04o); chmod 600 it (for a secret that Kubernetes mounts: defaultMode: 0440, and fsGroup in the securityContext), and make a new one if others may have read it",
			path,
			ErrExposed,
			mode,
		)
	})
}

// ReadPrivate is [Read] for a file that only its owner may read or change. It does not check
// modes on systems where they do not show access, such as Windows. Errors: also
// [ErrShared].
func ReadPrivate(path string, most int64) ([]byte, error) {
	text, _, err := readIf(path, most, func(mode fs.FileMode) error {
		if mode&0o077 == 0 || !modesTell {
			return nil
		}
		return fmt.Errorf("%s %w (mode %04o); chmod 600 it", path, ErrShared, mode)
	})
	return text, err
}

// readIf reads a file if check accepts its mode.
func readIf(path string, most int64, check func(mode fs.FileMode) error) ([]byte, fs.FileInfo, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if err := check(info.Mode().Perm()); err != nil {
		return nil, nil, err
	}
	text, err := readUpTo(f, path, most)
	return text, info, err
}

package files

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrExposed says that everybody on the machine may read or change a secret.
var ErrExposed = errors.New("can be read or changed by everybody on this machine")

// ErrShared says that other users may read or change a private file.
var ErrShared = errors.New("can be read or changed by others")

// ReadSecret is [Read] for a file that only its owner, and perhaps a group, may read. It
// also returns what is known of the file. Errors: also [ErrExposed].
func ReadSecret(path string, most int64) ([]byte, fs.FileInfo, error) {
	return readIf(path, most, func(mode fs.FileMode) error {
		if mode&0o006 == 0 {
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

// ReadPrivate is [Read] for a file that only its owner may read or change. Where modes do
// not say who may, as on Windows, it does not look at them. Errors: also [ErrShared].
func ReadPrivate(path string, most int64) ([]byte, error) {
	text, _, err := readIf(path, most, func(mode fs.FileMode) error {
		if mode&0o077 == 0 || !modesTell {
			return nil
		}
		return fmt.Errorf("%s %w (mode %04o); chmod 600 it", path, ErrShared, mode)
	})
	return text, err
}

// readIf reads a file whose mode has nothing against it.
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

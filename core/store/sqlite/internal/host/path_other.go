//go:build !unix

package host

import (
	"errors"
	"path/filepath"
)

// Supported refuses to open a database for writing. SQLite itself works here, but a
// store promises more.
func Supported() error {
	return errors.New(
		"a server does not run on this system: it has no file lock that ends with the process and no sync of a folder, so two servers could share one database, and a power cut could lose the file; run the server on Linux, and set OCTOSTORE_URL for the commands that ask it",
	)
}

// Resolve returns the one path all names of a database file lead to.
func Resolve(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path given")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	return path, nil
}

// MayWrite leaves it to the opening to find out.
func MayWrite(string) error { return nil }

// CheckNames accepts every name: no server runs on such a system.
func CheckNames(string) error { return nil }

// SameDisk is false: no server runs on such a system.
func SameDisk(_, _ string) bool { return false }

// CopyOwner does nothing: this system has other owners.
func CopyOwner(_, _ string) error { return nil }

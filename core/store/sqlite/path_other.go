//go:build !unix

package sqlite

import (
	"errors"
	"path/filepath"
)

// supported refuses to open a database for writing. SQLite itself works here, but a
// [Store] promises more.
func supported() error {
	return errors.New("a server does not run on this system: it has no file lock that ends with the process and no sync of a folder, so two servers could share one database, and a power cut could lose the file; run the server on Linux, and set OCTOSTORE_URL for the commands that ask it")
}

// resolve returns the one path all names of a database file lead to.
func resolve(path string) (string, error) {
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

func mayWrite(string) error { return nil }

func checkNames(string) error { return nil }

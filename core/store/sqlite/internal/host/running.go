package host

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/octostore/octostore/core/files"
)

// Running reports whether a server has the database open, and which process it is if that
// is known. It changes nothing.
func Running(path string) (who string, is bool, err error) {
	if path, err = Resolve(path); err != nil {
		return "", false, err
	}
	who, is, err = sideLocked(path)
	if err != nil || is {
		return who, is, err
	}
	is, err = inodeLocked(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if is {
		who = "a server that opened the file under another name"
	}
	return who, is, err
}

// sideLocked is [Running] for a server that opened the database by this path.
func sideLocked(path string) (who string, running bool, err error) {
	f, _, err := files.Open(path + "-lock")
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	if running, err = isLocked(f); err != nil || !running {
		return "", false, err
	}
	return strings.TrimPrefix(owner(f), ", "), true, nil
}

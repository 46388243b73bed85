package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
)

// sayDatabase tells on w which database a command works on: the one of the folder it was
// called in is easily the wrong one.
func sayDatabase(w io.Writer, path string) {
	fmt.Fprintf(w, "octostore: the database is %s\n", absolute(path))
}

var errNoDatabase = errors.New("there is no database")

// needDatabase fails, with errNoDatabase, if there is no database at path.
func needDatabase(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return exitcode.As(exitcode.Missing, fmt.Errorf("%w at %s; OCTOSTORE_DB says where it is", errNoDatabase, absolute(path)))
	}
	return err
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

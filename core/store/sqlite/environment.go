package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// CheckLocation looks whether [Open] would find a place for a database at path: a system
// that can keep its promises, a folder that can be written to, a file of one name that
// can be written to if there is one. It changes nothing. Open looks at the same.
func CheckLocation(path string) error {
	if err := host.Supported(); err != nil {
		return err
	}
	real, err := host.Resolve(path)
	if err != nil {
		return fmt.Errorf("open database %q: %w", path, err)
	}
	if err := checkLocation(real); err != nil {
		return fmt.Errorf("open database %s: %w", real, err)
	}
	return nil
}

func checkLocation(path string) error {
	dir := filepath.Dir(path)
	if err := host.MayWrite(dir); err != nil {
		return fmt.Errorf("the folder %s cannot be written to (%w), and a database needs files beside it; OCTOSTORE_DB names another place", dir, err)
	}
	if err := host.CheckNames(path); err != nil {
		return err
	}
	if err := host.MayWrite(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (%w)", rows.ErrReadOnly, err)
	}
	return checkNotMissing(path)
}

// Volatile reports whether what is written to a folder is gone after a restart of the
// machine, as on tmpfs. False: it is not, or the system does not say.
func Volatile(dir string) bool { return host.InMemory(dir) }

// ErrMissing says that a database file is not there, while its write-ahead log is.
var ErrMissing = errors.New("the database file is missing, but its write-ahead log is there")

// checkNotMissing returns an [ErrMissing] if there is a write-ahead log without a database
// file. A log that is not empty belonged to a database, so an empty one in its place
// would grant locks again that are held. A start makes the database file before the
// log, and a stop deletes the log.
func checkNotMissing(path string) error {
	wal := path + "-wal"
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || host.SizeOf(wal) == 0 {
		return nil
	}
	return fmt.Errorf("%w. Put back the file %s that belongs to %s; or, to begin with an empty database, remove %s too",
		ErrMissing, filepath.Base(path), filepath.Base(wal), wal)
}

// Running reports whether a server has the database open, and which process it is as
// far as is known. It changes nothing.
func Running(path string) (who string, running bool, err error) { return host.Running(path) }

// FreeSpace returns how many bytes this process may still write to the file system of a
// folder; known is false where that cannot be told.
func FreeSpace(dir string) (free int64, known bool) { return host.FreeSpace(dir) }

// KnowsBootClock reports whether the clock that counts from the boot can be read. Without it
// a restart of the server gives every lease its whole ttl again.
func KnowsBootClock() bool { return host.Clocks{}.OrSystem().Boot() != "" }

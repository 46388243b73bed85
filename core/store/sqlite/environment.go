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

// CheckLocation reports why [Open] could not keep a database at path: the system cannot
// keep its promises, the folder or the file is not writable, or the file has several names.
// It changes nothing. Open checks the same.
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
		return fmt.Errorf("the folder %s cannot be written to (%w), and a database needs files beside it; OCTOSTORE_DB can name another folder", dir, err)
	}
	if err := host.CheckNames(path); err != nil {
		return err
	}
	if err := host.MayWrite(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (%w)", rows.ErrReadOnly, err)
	}
	return checkNotMissing(path)
}

// Volatile reports whether files in a folder are gone after a reboot, as on tmpfs. False:
// they are not, or the system does not say.
func Volatile(dir string) bool { return host.InMemory(dir) }

// ErrMissing says that a database file is missing while its write-ahead log exists.
var ErrMissing = errors.New("the database file is missing, but its write-ahead log is there")

// checkNotMissing returns an [ErrMissing] if there is a write-ahead log without a database
// file. A log that is not empty belonged to a database, so an empty database in its place
// would grant locks that are held. A start creates the database file before the log, and a
// stop deletes the log.
func checkNotMissing(path string) error {
	wal := path + "-wal"
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || host.SizeOf(wal) == 0 {
		return nil
	}
	return fmt.Errorf("%w. Put back the file %s that belongs to %s; or, to begin with an empty database, remove %s too",
		ErrMissing, filepath.Base(path), filepath.Base(wal), wal)
}

// Running reports whether a server has the database open, and which process it is if that
// is known. It changes nothing.
func Running(path string) (who string, running bool, err error) { return host.Running(path) }

// FreeSpace returns how many bytes this process may still write to the file system of a
// folder; known is false if the system does not say.
func FreeSpace(dir string) (free int64, known bool) { return host.FreeSpace(dir) }

// KnowsBootClock reports whether the clock that counts from the boot can be read. Without
// it every lease gets its whole ttl again when the server restarts.
func KnowsBootClock() bool { return host.Clocks{}.OrSystem().Boot() != "" }

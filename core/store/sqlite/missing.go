package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// ErrMissing says that a database file is not there, while its write-ahead log is.
var ErrMissing = errors.New("the database file is missing, but its write-ahead log is there")

// checkNotGone returns an [ErrMissing] if there is a write-ahead log without a database
// file. A log that is not empty belonged to a database, so an empty one in its place
// would grant locks again that are held. A start makes the database file before the
// log, and a stop deletes the log.
func checkNotGone(path string) error {
	wal := path + "-wal"
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || host.SizeOf(wal) == 0 {
		return nil
	}
	return fmt.Errorf("%w. Put back the file %s that belongs to %s; or, to begin with an empty database, remove %s too",
		ErrMissing, filepath.Base(path), filepath.Base(wal), wal)
}

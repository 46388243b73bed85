package sqlite

import (
	"errors"
	"fmt"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Why a database cannot be read.
var (
	newerErr    = errors.New("the database was made by a newer version of this program")
	foreignErr  = errors.New("the file is a database of some other program")
	errReadOnly = errors.New("this process may read the file, but not write to it")
)

// damagedErr says that a database is not as it was written: the disk, or somebody,
// changed it. Nothing in it should be relied on, so it is neither served nor written
// to.
var damagedErr = errors.New("the database is damaged; keep its files for a closer look and put a backup in their place")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", damagedErr, fmt.Sprintf(format, args...))
}

// asDamage makes plain what the codes mean by which SQLite says the same. The plain
// SQLITE_ERROR is of a statement that does not fit the schema; ours fit ours.
func asDamage(err error) error {
	if conn.FailedWith(err, conn.CodeCorrupt, conn.CodeNotADB, conn.CodeError) && !errors.Is(err, damagedErr) {
		return fmt.Errorf("%w: %w", damagedErr, err)
	}
	return err
}

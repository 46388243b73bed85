package rows

import (
	"errors"
	"fmt"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Reasons not to use a database.
var (
	ErrNewer    = errors.New("the database was made by a newer version of this program")
	ErrForeign  = errors.New("the file is a database of another program")
	ErrReadOnly = errors.New("this process may read the file, but not write to it")
)

// ErrDamaged says that a database is not as it was written: the disk or another program
// changed it. Nothing in it can be relied on, so a store neither serves it nor writes to
// it.
var ErrDamaged = errors.New("the database is damaged; keep its files for an analysis, and restore a backup")

// Damaged returns an [ErrDamaged] that says what is damaged.
func Damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// AsDamage adds [ErrDamaged] to errors of SQLite that mean damage. Plain SQLITE_ERROR is
// that of a statement that does not fit the schema; the statements of this package fit
// theirs.
func AsDamage(err error) error {
	if conn.FailedWith(err, conn.CodeCorrupt, conn.CodeNotADB, conn.CodeError) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

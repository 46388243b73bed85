package rows

import (
	"errors"
	"fmt"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Why a database cannot be read.
var (
	ErrNewer    = errors.New("the database was made by a newer version of this program")
	ErrForeign  = errors.New("the file is a database of some other program")
	ErrReadOnly = errors.New("this process may read the file, but not write to it")
)

// damagedErr says that a database is not as it was written: the disk, or somebody,
// changed it. Nothing in it should be relied on, so it is neither served nor written
// to.
var ErrDamaged = errors.New("the database is damaged; keep its files for a closer look and put a backup in their place")

func Damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// AsDamage makes plain what the codes mean by which SQLite says the same. The plain
// SQLITE_ERROR is of a statement that does not fit the schema; ours fit ours.
func AsDamage(err error) error {
	if conn.FailedWith(err, conn.CodeCorrupt, conn.CodeNotADB, conn.CodeError) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

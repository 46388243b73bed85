package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// CheckPlace looks whether [Open] would find a place for a database at path: a system
// that can keep its promises, a folder that can be written to, a file of one name that
// can be written to if there is one. It changes nothing. Open looks at the same.
func CheckPlace(path string) error {
	if err := host.Supported(); err != nil {
		return err
	}
	real, err := host.Resolve(path)
	if err != nil {
		return fmt.Errorf("open database %q: %w", path, err)
	}
	if err := checkPlace(real); err != nil {
		return fmt.Errorf("open database %s: %w", real, err)
	}
	return nil
}

func checkPlace(path string) error {
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
	return checkNotGone(path)
}

// Volatile reports whether what is written to a folder is gone after a restart of the
// machine, as on tmpfs. False: it is not, or the system does not say.
func Volatile(dir string) bool { return host.InMemory(dir) }

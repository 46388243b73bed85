package sqlite

import (
	"os"
	"path/filepath"
)

// syncDir makes the directory entry of path survive a power cut.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sizeOf returns the size of a file, 0 if there is none.
func sizeOf(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// mapped is the beginning of a file in memory.
type mapped struct {
	f *os.File
	b []byte
}

// bytes returns the part that is mapped, which changes with the file.
func (m mapped) bytes() []byte { return m.b }

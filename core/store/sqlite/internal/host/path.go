// Package host wraps the operating system for a database: locks on its files, clocks, free
// space, paths, mounts. Every file of the store that differs between systems is here.
//
// On Linux it keeps all promises of the store, on other Unix systems all but those that
// need locks of open file descriptions; elsewhere databases are only read.
package host

import (
	"os"
	"path/filepath"
)

// SyncDir makes the directory entry of path durable.
func SyncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// SizeOf returns the size of a file, 0 if there is none.
func SizeOf(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// Mapped is the beginning of a file, mapped into memory.
type Mapped struct {
	f *os.File
	b []byte
}

// Bytes returns the mapped part, which changes with the file.
func (m Mapped) Bytes() []byte { return m.b }

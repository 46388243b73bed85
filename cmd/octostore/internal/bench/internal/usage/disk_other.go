//go:build !linux

package usage

import "os"

func syncData(f *os.File) error { return f.Sync() }

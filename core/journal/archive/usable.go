package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// CheckFolder returns why a folder can never be an archive: it is no folder, or this user may not
// write to it. What may pass is no reason: that it is missing, read-only or does not answer.
func CheckFolder(dir string) error {
	found := make(chan error, 1)
	go func() { found <- usable(dir) }()
	select {
	case err := <-found:
		if errors.Is(err, errNoFolder) || errors.Is(err, fs.ErrPermission) {
			return err
		}
	case <-time.After(openTime):
	}
	return nil
}

var errNoFolder = errors.New("it is no folder")

// usable returns why files cannot be written to a folder.
func usable(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: %w", dir, errNoFolder)
	}
	if err := mayWrite(dir); err != nil {
		return fmt.Errorf("%s cannot be written to: %w", dir, err)
	}
	return nil
}

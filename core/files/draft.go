package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Draft is the new content of a file, which only its owner may read. [Draft.Replace] or
// [Draft.Create] puts it in the place of the file in one step: after a crash the file is
// the old one or the new one, never a part.
type Draft struct {
	file *os.File
	path string
}

// NewDraft begins a draft of the file at path, in the same folder. The caller closes it.
func NewDraft(path string) (*Draft, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*") // mode 0600
	if err != nil {
		return nil, err
	}
	return &Draft{file: f, path: path}, nil
}

// Name returns the path of the draft, for what writes to files by their names.
func (d *Draft) Name() string { return d.file.Name() }

// Write appends to the draft.
func (d *Draft) Write(p []byte) (int, error) { return d.file.Write(p) }

// Replace makes the draft the file. A file that is there is replaced.
func (d *Draft) Replace() error {
	if err := d.finish(); err != nil {
		return err
	}
	return os.Rename(d.file.Name(), d.path)
}

// Create makes the draft the file, or returns [fs.ErrExist] if there is one by now.
func (d *Draft) Create() error {
	if err := d.finish(); err != nil {
		return err
	}
	err := os.Link(d.file.Name(), d.path)
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		return os.Remove(d.file.Name())
	}
	// The file system has no links.
	if _, err := os.Stat(d.path); err == nil {
		return &fs.PathError{Op: "create", Path: d.path, Err: fs.ErrExist}
	}
	return os.Rename(d.file.Name(), d.path)
}

// finish makes what was written durable.
func (d *Draft) finish() error { return errors.Join(d.file.Sync(), d.file.Close()) }

// Close removes the draft, unless it has become the file.
func (d *Draft) Close() {
	d.file.Close()           // closed already if it has
	os.Remove(d.file.Name()) // gone by then if it has
}

// Replace gives the file at path a new content in one step. Only its owner may read it.
func Replace(path string, content []byte) error {
	d, err := NewDraft(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Write(content); err != nil {
		return err
	}
	return d.Replace()
}

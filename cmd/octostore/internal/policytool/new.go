package policytool

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// scaffold has the files of a new policy, in which NAME stands for its name. Their
// names end in .tmpl so that the Go toolchain leaves them alone.
//
//go:embed scaffold
var scaffold embed.FS

// names of files that cannot be in the scaffold as they are called.
var renamed = map[string]string{"gitignore": ".gitignore", "sdk.mod": "sdk/go.mod"}

var policyName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// New lays down a policy in Go, called name, in the new folder dir: its code, its
// tests, its fixtures, and the SDK it is built with, so that nothing has to be
// fetched. What was written of it is removed if something goes wrong.
func New(dir, name string, sdk fs.FS) (err error) {
	if !policyName.MatchString(name) {
		return fmt.Errorf("%q is no name for a policy; want 1 to 64 characters out of a-z, 0-9, '_' and '-', the first a letter or a digit", name)
	}
	if err := os.Mkdir(dir, 0o777); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; want a new folder", dir)
	} else if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir)) // it was ours alone
		}
	}()
	own, err := fs.Sub(scaffold, "scaffold")
	if err != nil {
		return err
	}
	err = copyTree(own, func(path string, text []byte) error {
		path = strings.TrimSuffix(path, ".tmpl")
		if other, is := renamed[path]; is {
			path = other
		}
		return write(filepath.Join(dir, path), strings.ReplaceAll(string(text), "NAME", name))
	})
	if err != nil {
		return err
	}
	return copyTree(sdk, func(path string, text []byte) error {
		return write(filepath.Join(dir, "sdk", "plugins", path), string(text))
	})
}

// copyTree calls each with every file below.
func copyTree(from fs.FS, each func(path string, text []byte) error) error {
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return each(filepath.FromSlash(path), text)
	})
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o666)
}

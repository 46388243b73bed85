// Package scaffold creates the folder of a new policy, in one of several languages.
//
// It promises that what it creates builds, with what the folder's README names and nothing that has
// to be fetched in Go, and that a folder is whole or not there.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// templates has the files of a new policy in each language, in which NAME stands for its
// name. Their names end in .tmpl so that the Go toolchain leaves them alone. The folder any
// is for all languages but Go.
//
//go:embed any assemblyscript c go rust wat
var templates embed.FS

// names of files that cannot be among the templates as they are called.
var renamed = map[string]string{"gitignore": ".gitignore", "sdk.mod": "sdk/go.mod"}

var policyName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`) })

// Sources are the parts of new policies besides the templates.
type Sources struct {
	SDK      fs.FS // the Go SDK; see package plugins
	Examples fs.FS // the policy in the other languages; see sdk-examples/policies
}

// New creates a policy called name in the new folder dir: its source in one of
// [Languages], a Makefile, fixtures and a README; in Go also tests and the SDK it is built
// with, so that nothing has to be fetched. If something goes wrong the folder is removed.
func New(dir, name, lang string, from Sources) (err error) {
	l, err := languageNamed(lang)
	if err != nil {
		return err
	}
	if !policyName().MatchString(name) {
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
	p := newPolicy{dir, name, l}
	if err := p.fill(l.name); err != nil {
		return err
	}
	if l.source != "" {
		return p.copyExample(from.Examples)
	}
	return copyTree(from.SDK, func(path string, text []byte) error { return p.write("sdk/plugins/"+path, string(text)) })
}

// newPolicy is one that is being created.
type newPolicy struct {
	dir, name string
	language
}

// fill writes the templates of a folder.
func (p newPolicy) fill(folder string) error {
	all, err := fs.Sub(templates, folder)
	if err != nil {
		return err
	}
	words := strings.NewReplacer("NAME", p.name, "LANGUAGE", p.title, "SOURCE", p.file, "TOOLS", p.tools)
	return copyTree(all, func(path string, text []byte) error {
		path = strings.TrimSuffix(path, ".tmpl")
		if other, is := renamed[path]; is {
			path = other
		}
		return p.write(path, words.Replace(string(text)))
	})
}

// copyExample writes what the example of the language has, and what all examples share.
func (p newPolicy) copyExample(examples fs.FS) error {
	if err := p.fill("any"); err != nil {
		return err
	}
	files := map[string]string{p.source: p.file, "fixtures/ticket.json": "fixtures/ticket.json"}
	if p.npm {
		for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
			files[name] = name
		}
	}
	for from, to := range files {
		text, err := fs.ReadFile(examples, from)
		if err != nil {
			return err
		}
		if err := p.write(to, strings.ReplaceAll(string(text), "octostore-policy-examples", p.name)); err != nil {
			return err
		}
	}
	return nil
}

// copyTree calls each with every file below, by its path with slashes.
func copyTree(from fs.FS, each func(path string, text []byte) error) error {
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return each(path, text)
	})
}

// write writes a file of the policy, by its path with slashes.
func (p newPolicy) write(path, text string) error {
	path = filepath.Join(p.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o666)
}

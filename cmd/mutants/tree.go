package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one way to break the code.
type mutant struct {
	name   string
	file   string
	old    string // found exactly once in file
	new    string
	breaks string   // in words, for people
	tests  []string // runs of go test that are to notice, fastest first
}

// file is a file as it was when the run began: others may be editing the tree.
type file struct {
	data []byte
	mode os.FileMode
}

// tree is the files of the repository by path, those not added yet included, those
// that are ignored not.
type tree map[string]file

func readTree() (tree, error) {
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of the repository: %w", err)
	}
	t := make(tree)
	for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, err := os.Stat(path)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		t[path] = file{data, info.Mode().Perm()}
	}
	if _, ok := t["go.mod"]; !ok {
		return nil, fmt.Errorf("run this at the root of the repository")
	}
	return t, nil
}

// write makes dir hold the tree and nothing else: what tests left there is gone.
func (t tree) write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for path, f := range t {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// mutated returns the content of the mutant's file with its edit.
func (t tree) mutated(m mutant) ([]byte, error) {
	f, ok := t[m.file]
	if !ok {
		return nil, fmt.Errorf("%s: there is no file %s", m.name, m.file)
	}
	if n := bytes.Count(f.data, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s: its text is found %d times in %s, not once:\n%s", m.name, n, m.file, m.old)
	}
	return bytes.Replace(f.data, []byte(m.old), []byte(m.new), 1), nil
}

var testName = regexp.MustCompile(`\bTest[A-Z]\w*`)

// namedTests reports every test that the document names, outside of the table, and no
// file has.
func (t tree) namedTests() error {
	text, rest, _ := bytes.Cut(t[document].data, []byte(tableBegins))
	_, after, _ := bytes.Cut(rest, []byte(tableEnds))
	var errs []error
	for _, name := range testName.FindAll(slices.Concat(text, after), -1) {
		if !t.hasTest(name) {
			errs = append(errs, fmt.Errorf("%s names %s, which does not exist", document, name))
		}
	}
	return errors.Join(errs...)
}

func (t tree) hasTest(name []byte) bool {
	head := fmt.Appendf(nil, "func %s(", name)
	for path, f := range t {
		if strings.HasSuffix(path, "_test.go") && bytes.Contains(f.data, head) {
			return true
		}
	}
	return false
}

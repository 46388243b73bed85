package rules_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../../.."

// documents returns the text of every document in the repository, by its path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (name[0] == '.' || name == "bin" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		pages[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInIDs = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns the ids that GitHub gives the headings of a page.
func anchors(page string) map[string]bool {
	ids := map[string]bool{}
	for _, m := range headings.FindAllStringSubmatch(page, -1) {
		ids[strings.ReplaceAll(notInIDs.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return ids
}

// Links between documents lead to files and headings that exist.
func TestDocumentsLinkToWhatExists(t *testing.T) {
	pages := documents(t)
	checked := 0
	for path, page := range pages {
		for _, m := range links.FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
				continue
			}
			if anchor != "" && !anchors(pages[target])[anchor] {
				t.Errorf("%s links to %s, and %s has no such heading", path, m[1], target)
			}
			checked++
		}
	}
	if checked < 50 {
		t.Errorf("only %d links were found", checked)
	}
}

// named are paths of this repository in a text.
var named = regexp.MustCompile(`(?m)(?:^|[^A-Za-z0-9_./:-])((?:cmd|core|docs|hooks|plugins|sdk-examples|transport)/[a-zA-Z0-9_./*-]+)`)

// Every file and package that a document at the root or in docs names exists.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	found := 0
	for path, page := range documents(t) {
		if dir := filepath.Dir(path); dir != "." && dir != "docs" {
			continue // paths there are relative to the folder
		}
		for _, m := range named.FindAllStringSubmatch(page, -1) {
			found++
			matches, err := filepath.Glob(filepath.Join(root, strings.TrimRight(m[1], ".,/")))
			if err != nil || len(matches) == 0 {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d names were found", found)
	}
}

var (
	goTests   = regexp.MustCompile("`go test ([^`]*)`")
	testFuncs = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
)

// A command that runs a test by name finds one in the package it names.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	checked := 0
	for path, page := range documents(t) {
		for _, m := range goTests.FindAllStringSubmatch(page, -1) {
			words := strings.Fields(strings.ReplaceAll(m[1], "'", ""))
			var folder, pattern string
			for i, word := range words {
				switch {
				case strings.HasPrefix(word, "./"):
					folder = word
				case (word == "-run" || word == "-bench") && words[i+1] != "^$":
					pattern = words[i+1]
				}
			}
			if folder == "" || pattern == "" {
				continue
			}
			checked++
			if !hasTest(t, folder, pattern) {
				t.Errorf("%s: %s finds no test", path, m[0])
			}
		}
	}
	if checked < 5 {
		t.Errorf("only %d commands were found", checked)
	}
}

func hasTest(t *testing.T, folder, pattern string) bool {
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFuncs.FindAllStringSubmatch(string(text), -1) {
			if wanted.MatchString(m[1]) {
				return true
			}
		}
	}
	return false
}

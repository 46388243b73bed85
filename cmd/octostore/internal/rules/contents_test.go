package rules_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// The table of contents has every page of the folder docs.
func TestDocumentsAreInTheTableOfContents(t *testing.T) {
	pages := documents(t)
	contents := pages["docs/README.md"]
	for path := range pages {
		name := filepath.Base(path)
		if filepath.Dir(path) != "docs" || name == "README.md" {
			continue
		}
		if !strings.Contains(contents, "("+name+")") {
			t.Errorf("docs/README.md does not lead to %s", path)
		}
	}
}

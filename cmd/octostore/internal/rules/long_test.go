package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// longTest is a line of .ci/long-tests: `make test` leaves the test out, `make check` runs
// it with all others.
type longTest struct{ name, reason string }

func longTests(t *testing.T) (all []longTest) {
	t.Helper()
	list, err := os.ReadFile(octotest.Path(".ci/long-tests"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(Test\w+): (.+)$`)
	for text := range strings.Lines(string(list)) {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		m := line.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("%q is not TestName: reason", text)
		}
		all = append(all, longTest{m[1], m[2]})
	}
	return all
}

// The Makefile chooses tests by name alone, so a name in the list has to be the name of one
// test only.
func TestLongTestsAreTheOnlyOnesOfTheirName(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	packages := map[string][]string{} // by name of a test
	walkGo(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		text, err := os.ReadFile(octotest.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			packages[string(m[1])] = append(packages[string(m[1])], filepath.ToSlash(filepath.Dir(path)))
		}
	})
	seen := map[string]bool{}
	for _, test := range longTests(t) {
		if seen[test.name] {
			t.Errorf("%s is listed twice", test.name)
		}
		seen[test.name] = true
		if got := packages[test.name]; len(got) != 1 {
			t.Errorf("%s of .ci/long-tests is in %q, not in one package", test.name, got)
		}
	}
}

// docs/guarantees.md has the list as a table.
func TestGuaranteesPageSaysWhichTargetRunsWhichTest(t *testing.T) {
	page, err := os.ReadFile(octotest.Path("docs/guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- long tests -->\n", "<!-- end of long tests -->\n"
	_, rest, found := strings.Cut(string(page), begin)
	got, _, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("docs/guarantees.md has no table between %q and %q", begin, end)
	}
	var want strings.Builder
	want.WriteString("| test | why `make test` leaves it out |\n|---|---|\n")
	for _, test := range longTests(t) {
		fmt.Fprintf(&want, "| `%s` | %s |\n", test.name, test.reason)
	}
	if got != want.String() {
		t.Errorf("docs/guarantees.md is not what .ci/long-tests says; want\n%s", &want)
	}
}

// walkGo calls f with the path of each Go file below the root of the repository.
func walkGo(t *testing.T, f func(path string)) {
	t.Helper()
	root := octotest.Root()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !d.IsDir() && filepath.Ext(path) == ".go" {
			path, err = filepath.Rel(root, path)
			if err != nil {
				return err
			}
			f(filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

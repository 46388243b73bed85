package rules_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Each stage of .ci/torture names a package, a test of it, and two of its flags.
func TestTortureStagesNameTestsThatExist(t *testing.T) {
	script, err := os.ReadFile(octotest.Path(".ci/torture"))
	if err != nil {
		t.Fatal(err)
	}
	stages := regexp.MustCompile(`\) stage (\w+) (\S+) \d+ \d+ (\w+) (\S+) (\S+) \d+ ;;`).FindAllStringSubmatch(string(script), -1)
	if len(stages) < 9 {
		t.Errorf("only %d stages were found", len(stages))
	}
	for _, m := range stages {
		var all []byte
		files, err := filepath.Glob(octotest.Path(m[2] + "/*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		for _, want := range []string{"\nfunc " + m[3] + "(t *testing.T)", `"` + m[4] + `"`, `"` + m[5] + `"`} {
			if !bytes.Contains(all, []byte(want)) {
				t.Errorf("the stage %s wants %q in %s", m[1], want, m[2])
			}
		}
	}
}

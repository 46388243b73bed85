package documents_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// secretsShown are what is different in every run and used again further down.
var secretsShown = regexp.MustCompile(`octo_[A-Za-z0-9_-]{48}|token [a-z2-7]{12} of|expires 2[0-9T:-]+Z|database /\S+octostore\.db`)

// What docs/security.md shows is run, against a real server, in order. What comes out has
// to be what it shows, but for numbers, times and secrets.
func TestSecurityPageTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("every command of the page is started")
	}
	octotest.NeedTools(t, "sh", "curl")
	page, err := os.ReadFile(octotest.Path("docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addr := ""
	known := strings.NewReplacer()
	var pairs []string
	ran := 0
	for _, m := range fenced.FindAllStringSubmatch(string(page), -1) {
		if m[3] == "bin/octostore serve\n" {
			addr = octotest.Start(t, dir).Addr
			continue
		}
		input, want, _ := strings.Cut(strings.TrimPrefix(m[3], "$ "), "\n")
		r := readmeRun{t: t, addr: addr, dir: dir}
		out, err := r.command(known.Replace(strings.Replace(input, "curl ", "curl -s ", 1))).CombinedOutput()
		if err != nil {
			t.Fatalf("$ %s: %v\n%s", input, err, out)
		}
		was, is := secretsShown.FindAllString(want, -1), secretsShown.FindAllString(string(out), -1)
		if len(was) != len(is) {
			t.Fatalf("$ %s\n got %s\nwant %s", input, out, want)
		}
		for i := range was {
			pairs = append(pairs, was[i], is[i])
		}
		known = strings.NewReplacer(pairs...)
		if got := string(out); masked(got) != masked(known.Replace(want)) {
			t.Errorf("$ %s\n got %s\nwant %s", input, got, known.Replace(want))
		}
		ran++
	}
	if ran < 7 {
		t.Errorf("only %d commands were found", ran)
	}
}

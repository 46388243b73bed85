package documents_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The commands of docs/page.md are run, and answer as the page shows.
func TestPageOfThePageTellsTheTruth(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "grep", "head")
	_, blocks := pageBlocks(t, octotest.Path("docs/page.md"))
	version := regexp.MustCompile(`(OctoStore |"version":")[^ ":]+`)
	r := readmeRun{t: t, dir: t.TempDir(), mask: func(s string) string {
		return version.ReplaceAllString(strings.ReplaceAll(s, "\r\n", "\n"), "${1}VERSION")
	}}
	r.addr = octotest.Start(t, r.dir).Addr
	ran := 0
	for _, b := range blocks {
		if b.language != "console" {
			continue
		}
		r.console(b)
		ran++
	}
	if ran != 4 {
		t.Errorf("%d blocks were run", ran)
	}
}

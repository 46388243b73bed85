package documents_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/runner"
)

var runPage = octotest.Path("docs/run.md")

// The commands in docs/run.md are run against a real server.
func TestRunPageTellsTheTruth(t *testing.T) {
	octotest.NeedTools(t, "sh")
	_, blocks := pageBlocks(t, runPage)
	p := octotest.Start(t, t.TempDir())
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedRun, env: []string{"OCTOSTORE_URL=http://" + p.Addr, "HOME=" + t.TempDir()}}
	ran := 0
	for _, b := range blocks {
		if b.language == "console" {
			r.console(b)
			ran++
		}
	}
	if ran < 3 {
		t.Errorf("only %d commands were found", ran)
	}
}

var differingRun = regexp.MustCompile(`"pid":[0-9]+|"(?:held|waited)_ms":[0-9]+,?|token [0-9]{16}`)

func maskedRun(output string) string { return masked(differingRun.ReplaceAllString(output, "#")) }

// The page has every exit code that octostore run may have.
func TestRunPageHasTheExitCodes(t *testing.T) {
	page, err := os.ReadFile(runPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range exitcode.Table() {
		switch row.Code {
		case exitcode.OK, exitcode.Failed, exitcode.Tampered, exitcode.Missing:
			continue // it has none of these of its own
		}
		if !strings.Contains(string(page), fmt.Sprintf("\n| %d | %s | ", row.Code, row.Name)) {
			t.Errorf("docs/run.md has no row for %d, %s", row.Code, row.Name)
		}
	}
}

// The page says which outages are survived.
func TestRunPageHasTheRealOutages(t *testing.T) {
	page, err := os.ReadFile(runPage)
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| ([0-9]+[ms])[^|]* \| ([0-9]+[ms])[^|]* \| ([0-9ms]+) \|`).FindAllStringSubmatch(string(page), -1)
	if len(rows) < 4 {
		t.Errorf("only %d rows were found", len(rows))
	}
	for _, row := range rows {
		var d [4]time.Duration
		for i := 1; i < 4; i++ {
			if d[i], err = time.ParseDuration(row[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := runner.Survives(d[1], d[2]).Truncate(time.Second); got != d[3] {
			t.Errorf("with --ttl %s and --kill-after %s it survives %s", row[1], row[2], got)
		}
	}
}

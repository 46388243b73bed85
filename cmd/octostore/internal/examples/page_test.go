//go:build unix

package examples_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// How long each file is, rounded to tens.
func TestLockExamplesPageSaysHowLongTheyAre(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile(`(?m)^\|.*\]\(([\w./-]+)\).*\| (\d+) \|$`).FindAllStringSubmatch(read(t, locks+"README.md"), -1)
	if len(rows) < len("123456") {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		said, _ := strconv.Atoi(row[2]) // the pattern has digits
		lines := strings.Count(read(t, locks+row[1]), "\n")
		if lines > said+5 || lines < said-5 {
			t.Errorf("%s has %d lines, and the page says %d", row[1], lines, said)
		}
	}
}

// runPage runs the command of the page for a language as it stands there, but for the name, the
// file and the time. It is run after build, which keeps what is long to build out of the source.
func runPage(t *testing.T, l language, kept string) {
	row := regexp.MustCompile("(?mi)^\\| " + l.name + " \\| `([^`]+)`(?: in `(\\w+)`)?").FindStringSubmatch(read(t, locks+"README.md"))
	if row == nil {
		t.Fatal("the page has no command for it")
	}
	p := octotest.Start(t, t.TempDir())
	file, dir := filepath.Join(t.TempDir(), "tokens"), octotest.Path(locks+row[2])
	if l.name == "typescript" {
		dir = kept
	}
	command := strings.NewReplacer("npm ci && npm run build && ", "", "deploy/prod", "page", "/tmp/tokens 10", file+" 1").Replace(row[1])
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OCTOSTORE_URL=http://"+p.Addr, "CARGO_TARGET_DIR="+kept)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("page is locked, with fencing token")) {
		t.Fatal(fmt.Errorf("%s: %w\n%s", command, err, out))
	}
	if written, err := os.ReadFile(file); err != nil || len(written) == 0 {
		t.Errorf("%s has written nothing: %v", command, err)
	}
}

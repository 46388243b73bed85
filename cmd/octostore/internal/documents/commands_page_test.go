package documents_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// differingCommands are what the page about commands shows that is different in every run.
var differingCommands = []*regexp.Regexp{
	regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]+Z`),
	regexp.MustCompile(`[0-9]{16}`),
	regexp.MustCompile(`lease id +[A-Za-z0-9_-]{32}`),
	regexp.MustCompile(`[^ ]+@local`),
	regexp.MustCompile(`127\.0\.0\.1:[0-9]+`),
	regexp.MustCompile(`/[^ ]*/octostore/credentials\.json`),
	regexp.MustCompile(`(?m)(?:held(?: for)?|for|in|\() ?[0-9]+(?:ms|s|m|m[0-9]+s)\b(?: ago)?`),
	regexp.MustCompile(`# +[0-9a-z]+ +0 `), // LEFT of octostore list
	regexp.MustCompile(`LEFT +WAITERS`),
	regexp.MustCompile(` +[0-9]+m?s +[0-9]+(?:s|m)(?:\n|$)`), // HELD and LEFT of octostore top
}

// numbersOfTop are the numbers that octostore top has, or not yet.
var numbersOfTop = regexp.MustCompile(`(?s)octostore [^ ]+, up [^\n]*\n(?:held [0-9]+ +waiters .*?\(p50 and p99\)|The numbers of the first seconds[^\n]*)`)

func maskedCommands(output string) string {
	output = masked(numbersOfTop.ReplaceAllString(output, "#"))
	for _, re := range differingCommands {
		output = re.ReplaceAllString(output, "#")
	}
	return spaces.ReplaceAllString(output, " ")
}

// The commands in docs/commands.md are run against a real server.
func TestCommandsPageTellsTheTruth(t *testing.T) {
	octotest.NeedTools(t, "sh", "bash", "head", "timeout")
	_, blocks := pageBlocks(t, octotest.Path("docs/commands.md"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("any\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := octotest.Start(t, t.TempDir())
	r := readmeRun{t: t, addr: server.Addr, dir: dir, mask: maskedCommands, env: []string{"OCTOSTORE_URL=http://" + server.Addr, "XDG_CONFIG_HOME=" + dir, "HOME=" + dir}}
	for _, b := range blocks {
		if b.language == "sh" {
			if out, err := octotest.Shell(t, dir, "bash -c '"+strings.TrimSpace(b.text)+"'", r.env...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, b.text, out)
			}
			continue
		}
		r.console(b)
	}
	if len(blocks) < 9 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
}

package documents_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The commands in docs/backups.md are run in order, the first ones against a real server, and
// from the restore on without one.
func TestBackupsPageTellsTheTruth(t *testing.T) {
	octotest.NeedTools(t, "sh")
	_, blocks := pageBlocks(t, octotest.Path("docs/backups.md"))
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedBackups}
	server := octotest.Start(t, r.dir)
	r.addr = server.Addr
	octotest.Expect(t, octotest.Call("POST", r.addr, "/v1/locks/a/acquire?ttl=1h"), 200, "lease_id")
	ran := 0
	for _, b := range blocks {
		if strings.Contains(b.text, "octostore restore --discard-newer") {
			octotest.Expect(t, octotest.Call("POST", r.addr, "/v1/locks/b/acquire?ttl=1h"), 200, "lease_id")
			stopServer(t, server)
		}
		switch b.language {
		case "sh":
			r.script(b.text)
		case "console":
			r.console(b)
		default:
			continue // for other programs
		}
		ran++
	}
	if ran != 5 {
		t.Errorf("%d blocks were run, want 5", ran)
	}
}

var backupDetails = regexp.MustCompile(`(?:/\S+)?/(?:octostore|copy)\.db|[0-9]+ KiB|[0-9]{16}|[0-9]{4}-?[0-9]{2}-?[0-9]{2}T[0-9:]+Z`)

// maskedBackups replaces what depends on the machine and the moment.
func maskedBackups(output string) string { return backupDetails.ReplaceAllString(output, "#") }

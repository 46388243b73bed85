package documents_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// TestAPIPageExamplesAreValid sends every example of docs/api.md: each is a request that the
// server understands, whatever it thinks of the lease or the token that the example names.
func TestAPIPageExamplesAreValid(t *testing.T) {
	octotest.NeedTools(t, "sh", "curl")
	_, blocks := pageBlocks(t, octotest.Path("docs/api.md"))
	r := readmeRun{t: t, dir: t.TempDir()}
	r.write("policies.json", `{"policies": []}`)
	r.addr = octotest.Start(t, r.dir, "OCTOSTORE_POLICIES=policies.json", "XDG_CACHE_HOME="+t.TempDir()).Addr
	sent := 0
	for _, b := range blocks {
		if b.language != "sh" || !strings.HasPrefix(b.text, "curl ") || strings.Contains(b.text, "/v1/drain") {
			continue // a comment about what a browser does; a drain would end the test
		}
		command, _, _ := strings.Cut(b.text, "\n")
		if strings.Contains(command, "/v1/tokens?account") {
			continue // from then on the others would need a token
		}
		ask := fmt.Sprintf("curl -s -m 1 -o answer -w '%%{http_code}' %s; true", strings.TrimPrefix(
			strings.NewReplacer(" -f ", " ", " -o audit.ndjson ", " ", " -o backup.db ", " ").Replace(command), "curl "))
		start := time.Now()
		out, err := r.command(ask).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		switch status := string(out); status {
		case "400", "405", "000", "500":
			answer, _ := r.command("cat answer").Output()
			t.Errorf("%s: %s after %s: %s", command, status, time.Since(start), answer)
		}
		sent++
	}
	if sent < 25 {
		t.Errorf("only %d examples were found", sent)
	}
}

package octotest

import (
	"path/filepath"
	"strings"
	"testing"
)

// CheckAudit exports the audit log of a server whose database is in dir, verifies it, and
// compares the database with its records. It reports whether the log reaches back to its
// beginning.
func (p *Server) CheckAudit(t *testing.T, dir string) (complete bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.ndjson")
	run := func(args ...string) string {
		got := RunWith(t, []string{"OCTOSTORE_URL=http://" + p.Addr}, append([]string{"audit"}, args...)...)
		if got.Code != 0 {
			t.Errorf("octostore audit %s: exit %d\n%s%s", args[0], got.Code, got.Stdout, got.Stderr)
		}
		return got.Stdout
	}
	run("export", "-o", file)
	t.Log(strings.TrimSpace(run("replay", "--db", filepath.Join(dir, "octostore.db"), file)))
	return strings.Contains(run("verify", file), "Nothing is missing before it")
}

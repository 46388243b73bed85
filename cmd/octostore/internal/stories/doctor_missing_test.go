package stories_test

import (
	"os"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A database file that is missing beside its log is not one that serve makes.
func TestDoctorFindsALogWithoutItsDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("octostore.db-wal", []byte("of a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OCTOSTORE_DB", "octostore.db")
	t.Setenv("OCTOSTORE_ADDR", "127.0.0.1:0")
	got := octotest.Run(t, "doctor")
	if got.Code == 0 || !strings.Contains(got.Stdout, "octostore.db-wal too") || strings.Contains(got.Stdout, "octostore serve makes it") {
		t.Errorf("the doctor says, with exit code %d,\n%s", got.Code, got.Stdout)
	}
}

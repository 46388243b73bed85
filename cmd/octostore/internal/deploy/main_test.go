// Package deploy_test tests what is in deploy: the units of systemd, the packages for Debian
// and RPM systems, the container image and the manifests for Kubernetes; and that the server
// keeps its side of what they rely on.
package deploy_test

import (
	"os"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(octotest.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

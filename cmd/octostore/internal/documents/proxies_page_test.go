package documents_test

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The trial of docs/proxies.md is run. The addresses it shows are what the server says.
func TestProxiesPageTellsTheTruth(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "grep")
	_, blocks := pageBlocks(t, octotest.Path("docs/proxies.md"))
	r := readmeRun{t: t, dir: t.TempDir(), mask: func(s string) string { return s }}
	ran := 0
	for _, b := range blocks {
		setting, isServer := strings.CutSuffix(b.text, " bin/octostore serve\n")
		switch {
		case isServer:
			r.addr = octotest.Start(t, r.dir, setting).Addr
		case b.language == "console":
			r.console(b)
		default:
			continue // for proxies
		}
		ran++
	}
	if ran != 3 {
		t.Errorf("%d blocks were run", ran)
	}
}

package documents_test

import (
	"os"
	"os/exec"
	"path/filepath"
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

// The trial of docs/tracing.md is run. The server writes its spans where the page says.
func TestTracingPageTellsTheTruth(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "grep", "sort")
	_, blocks := pageBlocks(t, octotest.Path("docs/tracing.md"))
	r := readmeRun{t: t, dir: t.TempDir(), mask: func(s string) string { return s }}
	ran := 0
	for _, b := range blocks {
		settings, isServer := strings.CutSuffix(b.text, " bin/octostore serve > spans.json\n")
		switch {
		case isServer:
			r.addr = startWithOutput(t, r.dir, "spans.json", strings.Fields(settings)...).Addr
		case b.language == "console":
			r.console(b)
		}
		ran++
	}
	if ran != 4 {
		t.Errorf("%d blocks were run", ran)
	}
}

// startWithOutput starts a server whose standard output goes into a file of its folder.
func startWithOutput(t *testing.T, dir, file string, environ ...string) *octotest.Server {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	p, err := octotest.StartCommand(&exec.Cmd{
		Path: octotest.Binary(t), Args: []string{"octostore", "serve"}, Dir: dir, Env: environ, Stdout: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

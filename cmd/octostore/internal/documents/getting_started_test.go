package documents_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// What a newcomer is told to type is run, in order, in one directory. What comes out has to be
// what the page shows, but for numbers, times and secrets.
func TestGettingStartedPageTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a policy for another platform")
	}
	octotest.NeedTools(t, "sh", "go")
	t.Parallel()
	dir := t.TempDir()
	buildFreeze(t, dir)
	r := readmeRun{t: t, dir: dir, mask: maskedStart, env: []string{"HOME=" + dir}}
	_, blocks := pageBlocks(t, octotest.Path("docs/getting-started.md"))
	var server *octotest.Server
	for _, b := range blocks {
		switch settings, isServer := strings.CutSuffix(b.text, "octostore serve\n"); {
		case isServer:
			if server != nil {
				r.wait()
				stopServer(t, server)
			}
			server = octotest.Start(t, dir, append(strings.Fields(settings), "XDG_CACHE_HOME="+t.TempDir())...)
			r.addr = server.Addr
			r.env = append(r.env, "OCTOSTORE_URL=http://"+r.addr)
		case strings.HasPrefix(b.text, "export "):
			r.env = append(r.env, strings.TrimSpace(strings.TrimPrefix(b.text, "export ")))
		case b.language == "sh":
			r.script(b.text)
		case b.language == "json":
			r.write("policies.json", b.text)
		default:
			r.console(b)
		}
	}
	if len(blocks) < 14 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
}

// buildFreeze makes bin/plugins/freeze.wasm in a directory, as make plugins does.
func buildFreeze(t *testing.T, dir string) {
	t.Helper()
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
		"-o", filepath.Join(dir, "bin/plugins/freeze.wasm"), "./plugins/freeze")
	build.Dir = octotest.Path(".")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

var differingStart = []*regexp.Regexp{
	regexp.MustCompile(`octo_[A-Za-z0-9_-]{48}|token [a-z2-7]{12} of|expires 2[0-9T:-]+Z`),
	regexp.MustCompile(`[0-9-]{10} [0-9:]{8}Z`),
	regexp.MustCompile(`\b(?:9m[0-9]+s|10m)\b`),
	regexp.MustCompile(`[0-9.]+m?s +released`),
}

func maskedStart(output string) string {
	for _, re := range differingStart {
		output = re.ReplaceAllString(output, "#")
	}
	return maskedReadme(output)
}

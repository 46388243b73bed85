package documents_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

var operationsPage = octotest.Path("docs/operations.md")

// The commands in docs/operations.md are run in order against a real server with TLS.
func TestOperationsPageTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("every command of the page is started")
	}
	octotest.NeedTools(t, "sh", "curl", "openssl")
	_, blocks := pageBlocks(t, operationsPage)
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedDoctor}
	admin := ""
	ran := 0
	for _, b := range blocks {
		b.text = strings.ReplaceAll(b.text, "https://127.0.0.1:3001", "https://"+admin)
		switch {
		case b.text == "bin/octostore serve\n":
			p := octotest.Start(t, r.dir, "OCTOSTORE_ADMIN_ADDR=127.0.0.1:0")
			r.addr = p.Addr
			line, err := p.WaitLog("listening for administration", octotest.Patient)
			if err != nil {
				t.Fatal(err)
			}
			admin = line.Addr
		case b.language == "sh":
			// The doctor looks at the address, which another program may have taken.
			r.env = []string{"OCTOSTORE_ADDR=127.0.0.1:0"}
			r.script(b.text)
			r.env = nil
		case b.language == "console":
			r.console(b)
		default:
			continue // for other programs
		}
		ran++
	}
	if ran < 8 {
		t.Errorf("only %d blocks were found", ran)
	}
}

var machines = []*regexp.Regexp{
	regexp.MustCompile(`127.0.0.1:[0-9]+ (?:can be listened on|is taken; a server runs here, so most likely by it)|(?:/\S+)?/(?:octostore|copy)\.db|process [0-9]+ |[0-9]+ [KM]iB|https://127.0.0.1:[0-9]+|"seq":[0-9]+|OctoStore [^:]*:|"octostore [^"]*"`),
	regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`),
}

// maskedDoctor replaces what depends on the machine and the day.
func maskedDoctor(output string) string {
	for _, re := range machines {
		output = re.ReplaceAllString(output, "#")
	}
	return masked(output)
}

// Every setting and metric the page names exists.
func TestOperationsPageNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	known := session.Variables()
	for _, s := range config.Settings() {
		known = append(known, s.Name)
	}
	for _, name := range regexp.MustCompile(`OCTOSTORE_[A-Z_]+`).FindAllString(string(page), -1) {
		if !slices.Contains(known, name) {
			t.Errorf("%s is no setting", name)
		}
	}
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "p.wasm"), "hour")
	manifest := filepath.Join(dir, "policies.json")
	if err := os.WriteFile(manifest, []byte(`{"policies":[{"name":"p","module":"p.wasm","match":["**"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := octotest.Start(t, dir, "OCTOSTORE_POLICIES="+manifest, "XDG_CACHE_HOME="+t.TempDir())
	octotest.Expect(t, octotest.Call("GET", s.Addr, "/readyz"), 200, "") // so that there is one to count
	metrics := octotest.Call("GET", s.Addr, "/metrics").Body
	for _, name := range regexp.MustCompile(`octostore_[a-z_]+`).FindAllString(string(page), -1) {
		if !strings.Contains(metrics, "# TYPE "+name+" ") {
			t.Errorf("%s is no metric", name)
		}
	}
}

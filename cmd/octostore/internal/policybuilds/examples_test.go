package policybuilds_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
)

var examples = octotest.Path("sdk-examples/policies")

// The examples answer what their fixtures say, built as their README says. A compiler
// that is not there skips its language.
func TestExamplePolicyIsTheSameInEveryLanguage(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take their time")
	}
	fixtures, err := fixture.Read(filepath.Join(examples, "fixtures"))
	if err != nil {
		t.Fatal(err)
	}
	dir := examplesWithCompilers(t)
	for language, command := range buildCommands(t) {
		t.Run(language, func(t *testing.T) {
			if why := cannot(strings.Fields(command)[0]); why != "" {
				t.Skip(why)
			}
			build := exec.Command("sh", "-ec", command)
			build.Dir = dir
			if language == "Go" { // its imports are found in this module only
				build = exec.Command("sh", "-ec", strings.Replace(command, "-o ", "-o "+dir+"/", 1))
				build.Dir = examples
			}
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			module, err := policytool.ReadModule(filepath.Join(dir, "ticket.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			report, err := policytool.Test(t.Context(), module, policytool.Limits{}, fixtures, 1)
			if err != nil {
				t.Fatal(err)
			}
			if report.Failed != 0 || report.Cases == 0 {
				t.Errorf("%+v", report)
			}
		})
	}
}

// The policy that the page of the ABI shows is one.
func TestABIPageShowsAPolicyThatWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take their time")
	}
	page, err := os.ReadFile(octotest.Path("hooks/abi/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```wat\n")
	text, _, _ := strings.Cut(rest, "```")
	dir := examplesWithCompilers(t)
	source, binary := filepath.Join(dir, "page.wat"), filepath.Join(dir, "page.wasm")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	assemble := exec.Command("npx", "wat2wasm", source, "-o", binary)
	assemble.Dir = dir
	if out, err := assemble.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	module, err := policytool.ReadModule(binary)
	if err != nil {
		t.Fatal(err)
	}
	for ttl, want := range map[string]string{"3600000": "allow", "3600001": "deny"} {
		c, err := fixture.ParseRequest([]byte(`{"ttl_ms": ` + ttl + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := policytool.Run(t.Context(), module, policytool.Limits{}, nil, c)
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != want || want == "deny" && got.Reason != "a lease of more than an hour is not given" {
			t.Errorf("ttl %s: %+v, want %s", ttl, got, want)
		}
	}
}

// examplesWithCompilers returns a copy of the examples in which the compilers that npm
// has are installed.
func examplesWithCompilers(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(examples)); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("npm", "ci")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("the npm packages of the compilers could not be installed: %v\n%s", err, out)
	}
	return dir
}

// buildCommands returns the command of each section of the README that has one.
func buildCommands(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, rest, _ := strings.Cut(section, "\n")
		_, rest, found := strings.Cut(rest, "```sh\n")
		if !found {
			t.Errorf("%s has no command", title)
			continue
		}
		commands[title], _, _ = strings.Cut(rest, "\n```")
	}
	return commands
}

// cannot says why a compiler cannot be used.
func cannot(tool string) string {
	if strings.Contains(tool, "=") { // Go's command begins with its environment
		tool = "go"
	}
	if _, err := exec.LookPath(tool); err != nil {
		return tool + " is not installed"
	}
	switch tool {
	case "clang":
		if _, err := exec.LookPath("wasm-ld"); err != nil {
			return "the linker of clang, wasm-ld, is not installed"
		}
	case "rustc":
		root, err := exec.Command(tool, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			return "rustc: " + err.Error()
		}
		if _, err := os.Stat(strings.TrimSpace(string(root))); err != nil {
			return "rustc has no target wasm32-unknown-unknown"
		}
	}
	return ""
}

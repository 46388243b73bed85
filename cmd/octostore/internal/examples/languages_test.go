//go:build unix

package examples_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

const locks = "sdk-examples/locks/"

// language is one in which there is an example.
type language struct {
	name    string
	sources []string // below sdk-examples/locks
	tools   []string // what has to be installed
	again   bool     // another interpreter of the same file
	sigterm bool     // it gives the lock back at SIGTERM
	// build returns the command to which NAME, FILE and SECONDS are appended. What takes long to
	// build is kept in a folder below bin, which git ignores.
	build func(t *testing.T, kept string) []string
}

var languages = []language{
	{
		name: "python", sources: []string{"python/lock.py"}, tools: []string{"python3"}, sigterm: true,
		build: func(*testing.T, string) []string {
			return []string{"python3", "-B", "-W", "error", octotest.Path(locks + "python/lock.py")}
		},
	},
	{name: "sh", sources: shell, tools: []string{"sh", "curl"}, sigterm: true, build: script("sh")},
	{name: "bash", sources: shell, tools: []string{"bash", "curl"}, sigterm: true, again: true, build: script("bash")},
	{name: "busybox", sources: shell, tools: []string{"busybox", "curl"}, sigterm: true, again: true, build: script("busybox", "sh")},
	{name: "typescript", sources: typescript, tools: []string{"node", "npm"}, sigterm: true, build: buildTypeScript},
	{
		name: "go", sources: []string{"go/main.go"}, tools: []string{"go"}, sigterm: true,
		build: func(t *testing.T, kept string) []string {
			binary := filepath.Join(kept, "lock")
			must(t, octotest.Root(), nil, "go", "build", "-o", binary, "./"+locks+"go")
			return []string{binary}
		},
	},
	{
		name: "java", sources: []string{"java/Lock.java"}, tools: []string{"java", "javac"},
		build: func(t *testing.T, kept string) []string {
			must(t, octotest.Root(), nil, "javac", "-Xlint:all,-serial", "-Werror", "-d", kept, octotest.Path(locks+"java/Lock.java"))
			return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", kept, "Lock"}
		},
	},
	{
		name: "rust", sources: []string{"rust/Cargo.toml", "rust/Cargo.lock", "rust/src/main.rs"},
		tools: []string{"cargo"}, build: buildRust,
	},
}

// isAgain: for another interpreter of the same file the quick scenarios are enough.
func (l language) isAgain() bool { return l.again }

// isNoScript: scenarios about the queue, which do more to the server than to the client, are
// for the scripts only.
func (l language) isNoScript() bool { return l.again || l.name != "python" && l.name != "sh" }

func (l language) hasNoSIGTERM() bool { return !l.sigterm }

var shell = []string{"sh/lock.sh"}

// script is how a shell runs lock.sh.
func script(command ...string) func(*testing.T, string) []string {
	return func(*testing.T, string) []string { return append(command, octotest.Path(locks+"sh/lock.sh")) }
}

// typescript are the files without which its example does not build.
var typescript = []string{
	"typescript/lock.ts", "typescript/package.json", "typescript/package-lock.json", "typescript/.npmrc", "typescript/tsconfig.json",
}

// command builds an example, or skips the test if it cannot be built here.
func (l language) command(t *testing.T) []string {
	t.Helper()
	octotest.NeedTools(t, l.tools...)
	for _, source := range l.sources { // go test runs again when one of them changes
		if _, err := os.ReadFile(octotest.Path(locks + source)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(l.kept(), 0o755); err != nil {
		t.Fatal(err)
	}
	return l.build(t, l.kept())
}

func (l language) kept() string { return octotest.Path("bin/test/examples/" + l.name) }

// buildTypeScript installs the compiler of package-lock.json unless it is there.
func buildTypeScript(t *testing.T, kept string) []string {
	t.Helper()
	var wanted []byte
	for _, source := range typescript {
		text, err := os.ReadFile(octotest.Path(locks + source))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(source) == "package-lock.json" {
			sum := sha256.Sum256(text)
			wanted = []byte(hex.EncodeToString(sum[:]))
		}
		if err := os.WriteFile(filepath.Join(kept, filepath.Base(source)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := filepath.Join(kept, "node_modules", ".installed")
	if have, err := os.ReadFile(mark); err != nil || !bytes.Equal(have, wanted) {
		if out, err := run(kept, nil, "npm", "ci"); err != nil {
			t.Skipf("SKIP: npm could not install the compiler: %v\n%s", err, out)
		}
		if err := os.WriteFile(mark, wanted, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(t, kept, nil, "npm", "run", "build")
	return []string{"node", filepath.Join(kept, "lock.js")}
}

// buildRust gets the crates of Cargo.lock unless they are there.
func buildRust(t *testing.T, kept string) []string {
	t.Helper()
	dir, target := octotest.Path(locks+"rust"), []string{"CARGO_TARGET_DIR=" + kept}
	if out, err := run(dir, target, "cargo", "fetch", "--locked"); err != nil {
		t.Skipf("SKIP: cargo could not get the crates: %v\n%s", err, out)
	}
	must(t, dir, target, "cargo", "build", "--locked", "--offline")
	return []string{filepath.Join(kept, "debug", "octostore-lock-example")}
}

func run(dir string, environ []string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs what has to succeed if its tools are installed.
func must(t *testing.T, dir string, environ []string, command ...string) {
	t.Helper()
	if out, err := run(dir, environ, command...); err != nil {
		t.Fatal(fmt.Errorf("%v: %w\n%s", command, err, out))
	}
}

package transport

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Making clients takes a minute and registries, so it is done only when asked for.
var generateClients = flag.Bool("torture.clients", false, "generate clients from openapi.yaml and call every operation by them")

// TestGeneratedClientsCallEveryOperation makes clients of openapi.yaml by two generators
// that take it at its word, compiles them, and has them call every operation of a server
// with tokens, policies, backups and logins. .ci/clients has what calls, each with its own
// list of what it needs.
func TestGeneratedClientsCallEveryOperation(t *testing.T) {
	if !*generateClients {
		t.Skip("it takes a minute and two registries: .ci/torture clients, or -torture.clients")
	}
	for name, generate := range map[string]func(t *testing.T, dir string) *exec.Cmd{"ogen": ogenClient, "python": pythonClient} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", ".ci", "clients", name))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), api.OpenAPI, 0o600); err != nil {
				t.Fatal(err)
			}
			callsEverything(t, generate(t, dir))
		})
	}
}

// callsEverything runs a program that calls every operation, against a server of its own.
func callsEverything(t *testing.T, program *exec.Cmd) {
	s := newSite(t)
	s.policies, s.backups = ruled{}, &copies{content: []byte("SQLite format 3")}
	secret := s.newSecret(t)
	program.Env = append(os.Environ(), "CLIENT_URL="+s.url, "CLIENT_TOKEN="+secret)
	var wrong strings.Builder
	program.Stderr = &wrong
	out, err := program.Output()
	called := strings.Fields(string(out))
	if err != nil {
		t.Fatalf("%v after %q: %s", err, called, &wrong)
	}
	for _, rt := range routeTable() {
		if !slices.Contains(called, rt.id) {
			t.Errorf("%s was not called", rt.id)
		}
	}
}

// ogenClient makes a client in Go, whose generator refuses what it does not understand. Its
// module is not ours.
func ogenClient(t *testing.T, dir string) *exec.Cmd {
	need(t, dir, "go", "mod", "download")
	made(t, dir, "go", "tool", "ogen", "--target", "api", "--package", "api", "--clean", "openapi.yaml")
	made(t, dir, "go", "build", "-o", "client", ".")
	return command(t, dir, filepath.Join(dir, "client"))
}

// pythonClient makes a client in Python, in an environment of its own.
func pythonClient(t *testing.T, dir string) *exec.Cmd {
	need(t, dir, "python3", "-m", "venv", "env")
	need(t, dir, "env/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt")
	made(t, dir, "env/bin/openapi-python-client", "generate", "--path", "openapi.yaml", "--config", "config.yml",
		"--meta", "none", "--output-path", "generated", "--fail-on-warning")
	return command(t, dir, filepath.Join(dir, "env", "bin", "python3"), "call.py")
}

// need runs what fetches a generator. Where it cannot be had, the test is skipped.
func need(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if out, err := command(t, dir, name, args...).CombinedOutput(); err != nil {
		t.Skipf("the generator cannot be had: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// made runs what may not fail.
func made(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if out, err := command(t, dir, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, errors.New("it takes too long"))
	t.Cleanup(cancel)
	if strings.Contains(name, "/") {
		name, _ = filepath.Abs(filepath.Join(dir, strings.TrimPrefix(name, dir)))
	}
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	// A client of its own module; nothing of ours decides how it is built.
	c.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", fmt.Sprintf("PATH=%s:%s", filepath.Join(dir, "env", "bin"), os.Getenv("PATH")))
	return c
}

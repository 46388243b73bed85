package octotest

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/login/logintest"
)

// Person is a user with a home directory, who runs commands.
type Person struct {
	t       *testing.T
	Home    string
	Environ []string
}

// NewPerson returns a user whose commands have these variables.
func NewPerson(t *testing.T, environ ...string) *Person {
	home := t.TempDir()
	return &Person{t, home, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home}, environ...)}
}

// Run runs a command of octostore.
func (p *Person) Run(args ...string) (out string, err error) {
	cmd := exec.Command(Binary(p.t), args...)
	cmd.Dir, cmd.Env = p.Home, p.Environ
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// Runs wants a command to succeed and to say something.
func (p *Person) Runs(want string, args ...string) string {
	p.t.Helper()
	out, err := p.Run(args...)
	if err != nil || !strings.Contains(out, want) {
		p.t.Errorf("octostore %s: %v\n%s\nwant %s", strings.Join(args, " "), err, out, want)
	}
	return out
}

// Fails wants it to fail and to say why.
func (p *Person) Fails(want string, args ...string) {
	p.t.Helper()
	out, err := p.Run(args...)
	if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(out, want) {
		p.t.Errorf("octostore %s: %v\n%s\nwant %s", strings.Join(args, " "), err, out, want)
	}
}

// File is where the commands keep credentials.
func (p *Person) File() string { return filepath.Join(p.Home, "octostore", "credentials.json") }

// GitHubSettings configure a server for a GitHub of the test.
func GitHubSettings(t *testing.T, fake *logintest.GitHub) []string {
	github := httptest.NewServer(fake)
	t.Cleanup(github.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(logintest.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"OCTOSTORE_GITHUB_URL=" + github.URL, "OCTOSTORE_GITHUB_CLIENT_ID=" + logintest.ClientID,
		"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=" + secret, "OCTOSTORE_LOG_LEVEL=debug",
		"OCTOSTORE_GITHUB_ALLOW=user:alice@583231=acquire,read:** audit:**; user:bob=admin",
	}
}

package documents_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/client"
	"github.com/octostore/octostore/transport/login/logintest"
)

// What docs/login.md shows of the commands is what they say, but for times and places.
func TestLoginPageTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("every command of the page is started")
	}
	t.Parallel()
	page, err := os.ReadFile(octotest.Path("docs/login.md"))
	if err != nil {
		t.Fatal(err)
	}
	server := octotest.Start(t, t.TempDir(), octotest.GitHubSettings(t, &logintest.GitHub{Login: "Alice", ID: 583231, Interval: 1})...)
	p := octotest.NewPerson(t, "OCTOSTORE_URL=http://"+server.Addr)
	until := regexp.MustCompile(`until [0-9: Z-]+\.`)
	ran := 0
	for _, m := range fenced.FindAllStringSubmatch(string(page), -1) {
		if m[2] != "console" {
			continue
		}
		input, want, _ := strings.Cut(m[3], "\n")
		out, err := p.Run(strings.Fields(input)[3:]...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", input, err, out)
		}
		out = strings.NewReplacer("http://"+server.Addr, client.DefaultURL, p.Home, "/home/alice/.config", "http://127.0.0.1/login", "https://github.com/login").Replace(out)
		if until.ReplaceAllString(out, "") != until.ReplaceAllString(want, "") {
			t.Errorf("%s\n got %s\nwant %s", input, out, want)
		}
		ran++
	}
	if ran != 2 {
		t.Errorf("%d commands were found", ran)
	}
	for _, name := range []string{"OCTOSTORE_PUBLIC_URL", "OCTOSTORE_LOGIN_TOKEN_TTL", "__Host-octostore-login", "login_refused", "login_expired", "login_unavailable"} {
		if !strings.Contains(string(page), name) {
			t.Errorf("%s is not in the page", name)
		}
	}
}

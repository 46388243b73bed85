package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	withID     = "OCTOSTORE_GITHUB_CLIENT_ID=Iv1.x"
	withSecret = "OCTOSTORE_GITHUB_CLIENT_SECRET=hunter2"
	withFile   = "OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=secret"
	withAllow  = "OCTOSTORE_GITHUB_ALLOW=user:alice@1=read:**"
)

// There is all of it or nothing, and what is wrong is named.
func TestGitHubLoginSettings(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		wrong   []string // settings
		problem string   // of the first
	}{
		{nil, nil, ""},
		{[]string{withID, withSecret, withAllow}, nil, ""},
		{[]string{withID, withFile, withAllow}, nil, ""},
		{[]string{withID, withAllow}, []string{"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE"}, "is missing"},
		{[]string{withSecret}, []string{"OCTOSTORE_GITHUB_CLIENT_ID", "OCTOSTORE_GITHUB_ALLOW"}, "is missing"},
		{[]string{withID, withSecret, withFile, withAllow}, []string{"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE"}, "is there beside"},
		{[]string{withID, withSecret, "OCTOSTORE_GITHUB_ALLOW=user:a=read:**;bob=admin"}, []string{"OCTOSTORE_GITHUB_ALLOW"}, `has a part 2, "bob=admin", which begins with none`},
		{[]string{"OCTOSTORE_PUBLIC_URL=http://example.com"}, []string{"OCTOSTORE_PUBLIC_URL"}, "does not begin with https://"},
		{[]string{"OCTOSTORE_GITHUB_URL=github.com"}, []string{"OCTOSTORE_GITHUB_URL"}, "is not like https://HOST"},
		{[]string{"OCTOSTORE_LOGIN_TOKEN_TTL=366d"}, []string{"OCTOSTORE_LOGIN_TOKEN_TTL"}, "is out of range"},
		{[]string{"OCTOSTORE_LOGIN_TOKEN_TTL=59s"}, []string{"OCTOSTORE_LOGIN_TOKEN_TTL"}, "is out of range"},
	} {
		got, err := load(t, tt.environ...)
		var mistakes Mistakes
		errors.As(err, &mistakes)
		var wrong []string
		for _, m := range mistakes {
			wrong = append(wrong, m.Name)
		}
		if !slices.Equal(wrong, tt.wrong) || tt.problem != "" && !strings.HasPrefix(mistakes[0].Problem, tt.problem) {
			t.Errorf("%q: got %v, want %q %s", tt.environ, err, tt.wrong, tt.problem)
		}
		if err == nil && got.LoginByGitHub() != (len(tt.environ) > 0) {
			t.Errorf("%q: login is %v", tt.environ, got.LoginByGitHub())
		}
	}
}

// The secret reaches the configuration, and nothing that is printed.
func TestSecretsAreNotShown(t *testing.T) {
	got, err := load(t, withID, withSecret, withAllow)
	if err != nil || got.GitHubSecret != "hunter2" {
		t.Fatalf("got %q %v", got.GitHubSecret, err)
	}
	for _, v := range got.Values {
		if strings.Contains(v.Text, "hunter2") || v.Secret != (v.Name == "OCTOSTORE_GITHUB_CLIENT_SECRET") {
			t.Errorf("%s is %q", v.Name, v.Text)
		}
	}
	if _, err = load(t, withSecret); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

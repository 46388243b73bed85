package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/api"
)

// Settings are shown with their sources, and nothing that may be a secret, wherever it stands.
func TestServerShowsSettingsWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("canary-in-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := auth.NewSecret()
	loaded, err := config.Load(config.Sources{EnvFile: os.DevNull, Environ: []string{
		"OCTOSTORE_ADDR=127.0.0.1:0", "OCTOSTORE_DB=" + filepath.Join(dir, "octostore.db"),
		"OCTOSTORE_GITHUB_CLIENT_SECRET=canary-in-the-environment", "OCTOSTORE_GITHUB_CLIENT_ID=the-app",
		"OCTOSTORE_GITHUB_ALLOW=user:alice=read:**",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range loaded.Values {
		switch loaded.Values[i].Name {
		case "OCTOSTORE_GITHUB_URL": // were it accepted
			loaded.Values[i].Text = "https://bob:canary-in-a-url@github.example.com/a"
		case "OCTOSTORE_TOKENS_FILE": // a path may be mistyped for the token itself
			loaded.Values[i].Text = token
		case "OCTOSTORE_GITHUB_CLIENT_SECRET_FILE":
			loaded.Values[i].Text = secret
		}
	}
	s, err := start(t.Context(), nil, loaded.Config, slog.New(slog.DiscardHandler), stores{file: openSQLite}, loaded.Values...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	shown := map[string]api.Setting{}
	for _, one := range s.describe(s.serving(), loaded.Config)().Settings {
		shown[one.Name] = one
	}
	for name, want := range map[string]api.Setting{
		"OCTOSTORE_ADDR":                      {Value: "127.0.0.1:0", Source: "environment"},
		"OCTOSTORE_MAX_TTL":                   {Value: "1h", Source: "default"},
		"OCTOSTORE_GITHUB_CLIENT_SECRET":      {Value: "(set)", Source: "environment", Secret: true},
		"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE": {Value: secret, Source: "default"},
		"OCTOSTORE_GITHUB_URL":                {Value: "(set)", Source: "default"},
		"OCTOSTORE_TOKENS_FILE":               {Value: "(set)", Source: "default"},
	} {
		if want.Name = name; shown[name] != want {
			t.Errorf("%+v, want %+v", shown[name], want)
		}
	}
	if several := "https://a.example.com/, https://bob:canary@b.example.com/"; !holdsSecret(several) {
		t.Errorf("%q would be shown", several)
	}
	text, err := json.Marshal(shown)
	if err != nil || strings.Contains(string(text), "canary") || strings.Contains(string(text), token) {
		t.Errorf("%v: %s", err, text)
	}
}

// A real server shows its parts, drains, and stops afterwards as always; a restart ends the drain.
func TestServerThatIsDrainedStopsInGoodOrder(t *testing.T) {
	dir := t.TempDir()
	s := octotest.Start(t, dir, "OCTOSTORE_ADMIN_ADDR=127.0.0.1:0")
	held := s.Take(t, "a", "?ttl=1m")
	waiting := s.Enqueue(t, "a", "", 1)
	var state api.Server
	if err := json.Unmarshal([]byte(octotest.Call("GET", s.Addr, "/v1/server").Body), &state); err != nil {
		t.Fatal(err)
	}
	if state.ProcessID != s.Cmd.Process.Pid || len(state.Addresses) != 2 || state.Addresses[0] != "http://"+s.Addr || len(state.Connections) != 2 {
		t.Errorf("it shows %+v", state)
	}
	if state.Database.Bytes == 0 || state.Database.ReserveBytes == 0 || len(state.Settings) != len(config.Settings()) || len(state.Limits) < 8 {
		t.Errorf("it shows %+v", state)
	}
	octotest.Expect(t, octotest.Call("POST", s.Addr, "/v1/drain?reason=upgrade"), 200, `"waiters":1`)
	octotest.Expect(t, waiting.Receive(octotest.Patient), 503, "draining")
	octotest.Expect(t, octotest.Call("GET", s.Addr, "/readyz"), 503, "draining")
	octotest.Expect(t, s.Renew(held), 200, "expires_in_ms")
	octotest.Expect(t, s.Release(held), 200, "held_ms")
	octotest.Expect(t, octotest.Call("GET", s.Addr, "/v1/audit?last=3"), 200, `"kind":"drained","reason":"upgrade"`)
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if state, err := s.Wait(octotest.Patient); err != nil || state.ExitCode() != 0 {
		t.Errorf("it ends with %v, %v", state, err)
	}
	octotest.Start(t, dir).Take(t, "a", "") // a restart ends the drain
}

// A reload is recorded with its account and its reason, also if it fails.
func TestPolicyReloadIsRecordedWithItsReason(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "closed.wasm"), closed(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), withPolicies(t, dir, closedProd), slog.New(slog.DiscardHandler),
		func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	withPolicies(t, dir, "not a manifest")
	octotest.Expect(t, s.call("POST", "/v1/policies/reload?reason=by+mistake"), 400, "stay as they are")
	octotest.Expect(t, s.call("GET", "/v1/policies"), 200, `"last_failure":{"at":"`)
	octotest.Expect(t, s.call("GET", "/v1/audit?kind=reload_failed"), 200, `"kind":"reload_failed","reason":"by mistake","by":"local"`)

	withPolicies(t, dir, `{"policies":[]}`)
	octotest.Expect(t, s.call("POST", "/v1/policies/reload?reason=the+freeze+is+over"), 200, "gone freeze")
	octotest.Expect(t, s.call("GET", "/v1/audit?last=1"), 200, `"kind":"policies_loaded","reason":"the freeze is over","by":"local"`)
	if body := s.call("GET", "/v1/policies").Body; strings.Contains(body, "last_failure") || !strings.Contains(body, `"failed_reloads":1`) {
		t.Errorf("after a reload that worked: %s", body)
	}
}

// A drain does not wait for policies that are being asked; what they allow is refused then.
func TestDrainDoesNotWaitForPolicies(t *testing.T) {
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "closed.wasm"), "hour")
	s, err := startServer(t.Context(), withPolicies(t, dir, closedProd), slog.New(slog.DiscardHandler),
		func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	answers := make(chan octotest.Answer)
	const clients = 16
	for range clients {
		go func() { answers <- s.call("POST", "/v1/locks/prod/db/acquire?wait=1m") }()
	}
	octotest.WaitUntil(t, "they wait", func() bool { return s.serving().table.Stats().Waiters == clients-1 })
	octotest.Expect(t, s.call("POST", "/v1/drain"), 200, `"waiters":15`)
	granted := 0
	for range clients {
		switch got := <-answers; {
		case got.Status == 200:
			granted++
		case got.Status != 503 || !strings.Contains(got.Body, "draining"):
			t.Errorf("got %d %s", got.Status, got.Body)
		}
	}
	if granted != 1 {
		t.Errorf("%d were granted, want the first", granted)
	}
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/other/acquire"), 503, "draining")
}

package server

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// closed is a policy that denies everything with a reason.
func closed() []byte {
	return wasmtest.Assemble(wasmtest.Module{
		Imports: []wasmtest.Import{{Module: "octostore_v1", Name: "deny", Type: "i32 i32"}},
		Pages:   1, Data: []wasmtest.Data{{Text: "closed for the holidays"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0 i32.const 23 call $deny i32.const 1"}},
	})
}

// withPolicies writes a manifest and returns a configuration that names it.
func withPolicies(t *testing.T, dir, manifest string) config.Config {
	t.Helper()
	path := filepath.Join(dir, "policies.json")
	if err := os.WriteFile(path, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.Policies, cfg.DB = config.File(path), config.Path(filepath.Join(dir, "octostore.db"))
	return cfg
}

const closedProd = `{"policies":[{"name":"freeze","module":"closed.wasm","match":["prod/**"]}]}`

// A veto, its reason, and a reload that lifts it.
func TestPoliciesRuleAndSIGHUPLoadsThemAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "closed.wasm"), closed(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), withPolicies(t, dir, closedProd), slog.New(slog.DiscardHandler),
		func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
	if err != nil {
		t.Fatal(err)
	}
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/acquire"), 403, "closed for the holidays")
	octotest.Expect(t, s.call("POST", "/v1/locks/test/db/acquire"), 200, "lease_id")

	withPolicies(t, dir, "not a manifest")
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 400, "stay as they are")
	octotest.Expect(t, s.call("GET", "/v1/policies"), 200, `"denials":1`)
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/acquire"), 403, "freeze") // the old set rules

	withPolicies(t, dir, `{"policies":[]}`)
	if err := hangUp(); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "no policy is loaded any more", func() bool { return len(s.policies.Policies()) == 0 })
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/acquire"), 200, "lease_id")
	octotest.WaitUntil(t, "the reload is on record", func() bool {
		return strings.Count(s.call("GET", "/v1/audit").Body, `"kind":"policies_loaded"`) == 2
	})
	record := s.call("GET", "/v1/audit").Body
	for _, want := range []string{`"kind":"denied"`, `"verdicts":[{"policy":"freeze","digest":"`, `"cause":"gone freeze"`} {
		if !strings.Contains(record, want) {
			t.Errorf("%s is not on record:\n%s", want, record)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// Without its policies a server would give locks they would have denied.
func TestServerDoesNotStartWithoutItsPolicies(t *testing.T) {
	_, err := startServer(t.Context(), withPolicies(t, t.TempDir(), closedProd), slog.New(slog.NewTextHandler(io.Discard, nil)),
		func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
	if err == nil || !strings.Contains(err.Error(), "policy freeze: module") {
		t.Errorf("got %v", err)
	}
}

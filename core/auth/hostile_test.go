package auth_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// A change may have waited for others when the token that asks for it ends.
func TestTokenThatHasEndedChangesNoTokens(t *testing.T) {
	h := open(t, memory.New(), "")
	admin, err := auth.ParseScopes("admin")
	if err != nil {
		t.Fatal(err)
	}
	wish := auth.TokenSpec{Account: "ops", Scopes: admin}
	stolen, _, err := h.Create(t.Context(), lock.Origin{}, wish)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := h.Create(t.Context(), lock.Origin{}, wish)
	if err != nil {
		t.Fatal(err)
	}
	thief := lock.Origin{Actor: lock.Actor{Account: "ops", TokenID: stolen.ID}}
	if _, err := h.Revoke(t.Context(), lock.Origin{}, stolen.ID); err != nil {
		t.Fatal(err)
	}
	_, _, created := h.Create(t.Context(), thief, wish)
	_, _, rotated := h.Rotate(t.Context(), thief, other.ID, 0)
	_, revoked := h.Revoke(t.Context(), thief, other.ID)
	for what, err := range map[string]error{"create": created, "rotate": rotated, "revoke": revoked} {
		if !errors.Is(err, auth.ErrRevoked) {
			t.Errorf("%s: %v", what, err)
		}
	}
	unknown := lock.Origin{Actor: lock.Actor{Account: "ops", TokenID: "file-0123456789ab"}} // was taken out of the file
	if _, _, err := h.Create(t.Context(), unknown, wish); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("create: %v", err)
	}
	if n := len(h.List()); n != 2 {
		t.Errorf("there are %d tokens, want 2", n)
	}
}

// The account of servers without tokens has no limits, so no token may be of it.
func TestTokensCannotHaveTheUnlimitedAccount(t *testing.T) {
	h := open(t, memory.New(), "")
	all, err := auth.ParseScopes("acquire,read:**")
	if err != nil {
		t.Fatal(err)
	}
	var input *input.Error
	if _, _, err := h.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: auth.LocalAccount, Scopes: all}); !errors.As(err, &input) || input.Field != "account" {
		t.Errorf("made by hand: %v", err)
	}
	path := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, path, "ci:"+auth.NewSecret()+"\nlocal:"+auth.NewSecret()+"\n", 0o600)
	if _, err := auth.CheckFile(path); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "octo_") {
		t.Errorf("in the file: %v", err)
	}
}

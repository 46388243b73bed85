package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestTokensFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	alice, bob, carol := auth.NewSecret(), strings.Repeat("b", 32), auth.NewSecret()
	writeFile(t, path, "# who may\n\nalice:"+alice+"\nbob:"+bob+":admin\ncarol:"+carol+":acquire,read:c/**,@c/~:1+2 break:c/x\n", 0o640)
	store := memory.New()
	h := open(t, store, path)
	if !h.TokensRequired() || h.journal.kinds() != "" {
		t.Error("the door is open")
	}
	if p := h.want(t, alice, nil); !p.May(auth.Acquire, "x") || !p.May(auth.Read, "x") || p.MaySome(auth.Break) {
		t.Errorf("alice is %+v", p)
	}
	if p := h.want(t, bob, nil); !p.MayAll(auth.Admin) {
		t.Errorf("bob is %+v", p)
	}
	was := h.want(t, carol, nil)
	if !was.May(auth.Break, "c/x") || was.May(auth.Acquire, "x") || !was.May(auth.Acquire, "@c/~:1+2") {
		t.Errorf("carol is %+v", was)
	}
	kept := h.want(t, alice, nil)
	var input *input.Error
	if _, err := h.Revoke(t.Context(), lock.Origin{}, was.TokenID); !errors.As(err, &input) {
		t.Errorf("a token of the file can be revoked: %v", err)
	}

	writeFile(t, path, "alice:"+alice+"\ncarol:"+carol+":read:c/**\n", 0o600)
	changes, err := h.Reload(t.Context())
	if err != nil || changes != "2 gone, 1 new, 1 as before" {
		t.Errorf("%s, %v", changes, err)
	}
	h.want(t, bob, auth.ErrBadToken)
	if now := h.want(t, carol, nil); now.May(auth.Break, "c/x") || was.Err(time.Now()) == nil || kept.Err(time.Now()) != nil {
		t.Errorf("carol is %+v, alice %v", now, kept.Err(time.Now()))
	}
	if got := h.journal.kinds(); got != "token_revoked token_revoked token_created" {
		t.Errorf("on record is %q", got)
	}

	writeFile(t, path, "nonsense", 0o600)
	if _, err := h.Reload(t.Context()); err == nil {
		t.Error("nonsense is taken")
	}
	h.want(t, alice, nil)
	writeFile(t, path, "", 0o600)
	if _, err := h.Reload(t.Context()); err != nil || !h.TokensRequired() {
		t.Errorf("an empty file: %v", err)
	}
	h.want(t, alice, auth.ErrBadToken)
}

func TestTokensFileThatCannotBeUsedIsRefused(t *testing.T) {
	dir := t.TempDir()
	secret := auth.NewSecret()
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{"a:" + secret, 0o644, "can be read or changed by everybody"},
		{"a:" + secret, 0o602, "can be read or changed by everybody"},
		{"# x\na", 0o600, "line 2: is not account:token"},
		{"a b:" + secret, 0o600, "line 1: does not begin with an account"},
		{"a:short", 0o600, "has a token of 5 characters"},
		{"a:" + secret[:50], 0o600, "is not whole"},
		{"a:" + strings.Repeat("x y", 20), 0o600, "not visible ASCII"},
		{"a:" + secret + ":write:**", 0o600, `has no verb "write"`},
		{"a:" + secret + "\nb:" + secret, 0o600, "line 2: has the same token as line 1"},
	} {
		path := filepath.Join(dir, "tokens")
		writeFile(t, path, tt.text, tt.mode)
		_, err := auth.Open(t.Context(), auth.Config{Store: memory.New(), Recorder: &journal{}, File: path})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%q: %v", tt.want, err)
		}
	}
	if _, err := auth.Open(t.Context(), auth.Config{Store: memory.New(), Recorder: &journal{}, File: filepath.Join(dir, "none")}); err == nil {
		t.Error("a file that is not there is taken")
	}
}

// A token that was revoked cannot come back by way of the file.
func TestTokenStaysRevokedWhateverTheFileSays(t *testing.T) {
	store := memory.New()
	h := open(t, store, "")
	token, secret := h.mustCreate(t, wish(t, "a", "admin"))
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, path, "a:"+secret, 0o600)
	h = open(t, store, path)
	h.want(t, secret, auth.ErrRevoked)
	if _, err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.want(t, secret, auth.ErrRevoked)
}

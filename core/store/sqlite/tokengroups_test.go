package sqlite

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/storetest"
)

// A token from before there were groups can be read as it is, and is valid after the
// migration. A change by hand is damage.
func TestGroupsOfTokensComeByMigration(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	scopes, err := auth.ParseScopes("read:**")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutTokens(t.Context(), auth.Token{
		ID: "a", Account: "alice", Scopes: scopes, Hash: sha256.Sum256([]byte("a")), Created: time.Unix(1_800_000_000, 0),
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.w.Exec("ALTER TABLE tokens DROP COLUMN member_of; PRAGMA user_version = 5"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if in, err := Inspect(t.Context(), path, 0, nil); err != nil || in.Tokens != 1 {
		t.Errorf("looked at before the migration: %d tokens, %v", in.Tokens, err)
	}
	s = open(t, Config{Path: path})
	storetest.Load(t, s)
	if all, err := s.Tokens(t.Context()); err != nil || len(all) != 1 || all[0].Groups != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.w.Exec("UPDATE tokens SET member_of = 'github:acme' || char(10)"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tokens(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("groups added to the file are accepted: %v", err)
	}
}

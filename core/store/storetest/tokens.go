package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
)

// tokens returns the token store of a store under test.
func tokens(t *testing.T, s any) auth.Store {
	t.Helper()
	kept, ok := s.(auth.Store)
	if !ok {
		t.Fatalf("%T keeps no tokens", s)
	}
	return kept
}

func token(t *testing.T, id, scopes string) auth.Token {
	t.Helper()
	parsed, err := auth.ParseScopes(scopes)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Token{
		ID: id, Name: "the ü of " + id, Account: "alice", Scopes: parsed, Hash: sha256.Sum256([]byte(id)),
		Created: time.Unix(1_800_000_000, 123_000_000).UTC(),
	}
}

func checkTokens(t *testing.T, s auth.Store, want ...auth.Token) {
	t.Helper()
	got, err := s.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), sameScopes); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	for _, w := range want {
		one, found, err := s.TokenByHash(t.Context(), w.Hash)
		if err != nil || !found || !cmp.Equal(one, w, sameScopes) {
			t.Errorf("by its hash: %+v, %v, %v", one, found, err)
		}
	}
}

var sameScopes = cmp.Comparer(func(a, b auth.Scopes) bool { return a.String() == b.String() })

func testTokens(t *testing.T, f Fixture) {
	Load(t, f.Store)
	s := tokens(t, f.Store)
	checkTokens(t, s)
	if _, found, err := s.TokenByHash(t.Context(), sha256.Sum256(nil)); found || err != nil {
		t.Errorf("there is one: %v, %v", found, err)
	}
	a, b := token(t, "a", "acquire,read:team-a/**,!team-a/x break:**"), token(t, "b", "admin")
	b.Expires, b.Used = a.Created.Add(time.Hour), a.Created.Add(time.Minute)
	b.Groups = "github:acme\ngithub:acme/ops\n"
	if err := s.PutTokens(t.Context(), b, a); err != nil {
		t.Fatal(err)
	}
	checkTokens(t, s, a, b)

	a.Revoked, a.Name = b.Used, ""
	if err := s.PutTokens(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.Used = b.Used.Add(time.Hour)
	if err := s.TouchTokens(t.Context(), map[string]time.Time{"b": b.Used, "unknown": b.Used}); err != nil {
		t.Fatal(err)
	}
	checkTokens(t, s, a, b)

	var line Line // tokens are beside the journal, not in it
	line.Commit(t, f.Store, 1, Row("x", 1, time.Hour))
	again := f.Reopen()
	if snap := Load(t, again); snap.Head != line.Head {
		t.Errorf("the head is %+v, want %+v", snap.Head, line.Head)
	}
	checkTokens(t, tokens(t, again), a, b)
}

// What is pruned is gone for good, what is left is whole, and the last token stays.
func testTokensPruned(t *testing.T, f Fixture) {
	Load(t, f.Store)
	s := tokens(t, f.Store)
	prune := func(ids ...string) {
		t.Helper()
		if err := s.PruneTokens(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
	}
	prune("none") // in an empty store
	var all []auth.Token
	var ids []string
	for i := range 600 { // several steps
		one := token(t, fmt.Sprintf("%04d", i), "acquire,read:**")
		one.Revoked = one.Created
		all, ids = append(all, one), append(ids, one.ID)
	}
	if err := s.PutTokens(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	prune(append([]string{"unknown"}, ids[:598]...)...)
	prune(ids[:3]...) // again, as after a crash
	checkTokens(t, s, all[598:]...)
	if _, found, err := s.TokenByHash(t.Context(), all[0].Hash); found || err != nil {
		t.Errorf("a pruned token is found: %v, %v", found, err)
	}
	if err := s.TouchTokens(t.Context(), map[string]time.Time{ids[0]: all[0].Created}); err != nil {
		t.Fatal(err)
	}
	s = tokens(t, f.Reopen())
	checkTokens(t, s, all[598:]...)
	prune(ids...)
	checkTokens(t, s, all[599])
	checkTokens(t, tokens(t, f.Reopen()), all[599])
}

// A token without space is not stored, and existing tokens stay as they were.
func testTokensFull(t *testing.T, f Fixture) {
	if f.Fill == nil {
		t.Log("this store cannot be filled")
		return
	}
	Load(t, f.Store)
	s := tokens(t, f.Store)
	a := token(t, "a", "admin")
	if err := s.PutTokens(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	f.Fill(true)
	many := []auth.Token{a}
	many[0].Revoked = a.Created
	for i := range 200 {
		many = append(many, token(t, "more "+string(rune('a'+i%26))+time.Duration(i).String(), "acquire,read:**"))
	}
	if err := s.PutTokens(t.Context(), many...); !errors.Is(err, lock.ErrFull) {
		t.Fatalf("got %v", err)
	}
	checkTokens(t, s, a)
	f.Fill(false)
	a.Revoked = a.Created
	if err := s.PutTokens(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	checkTokens(t, s, a)
}

package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// A token for an account with a login cannot be created by hand.
func TestAccountsOfThoseWhoLogIn(t *testing.T) {
	h := open(t, memory.New(), "")
	for _, test := range []struct {
		account         string
		byHand, byLogin bool
	}{
		{"alice", true, false},
		{"github:alice.583231", false, true},
		{"github:", false, false},
		{":alice", false, false},
		{"github:a:b", false, false},
		{"github:a b", false, false},
		{"github:" + strings.Repeat("a", 57), false, true},
		{"github:" + strings.Repeat("a", 58), false, false},
	} {
		for loggedIn, right := range map[bool]bool{false: test.byHand, true: test.byLogin} {
			w := wish(t, test.account, "read:**")
			w.LoggedIn = loggedIn
			if _, _, err := h.Create(t.Context(), lock.Origin{}, w); (err == nil) != right {
				t.Errorf("%s, logged in %v: %v", test.account, loggedIn, err)
			}
		}
	}
}

// Where people can log in there is no open door, even before the first has.
func TestLoginConfiguredRequiresTokens(t *testing.T) {
	tokens, err := auth.Open(t.Context(), auth.Config{Store: memory.New(), Recorder: &journal{}, TokensRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	if _, err := tokens.Local(); !errors.Is(err, auth.ErrNoToken) || !tokens.TokensRequired() {
		t.Errorf("got %v", err)
	}
}

// What a login says an account is a member of goes with its tokens, and with those that
// take their place.
func TestGroupsComeWithTheToken(t *testing.T) {
	h := open(t, memory.New(), "")
	w := wish(t, "github:alice.583231", "read:**")
	w.LoggedIn, w.Groups = true, "github:acme\n"
	first, secret, err := h.Create(t.Context(), lock.Origin{}, w)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := h.Authenticate(t.Context(), secret, time.Now()); err != nil || p.Groups != w.Groups {
		t.Errorf("%q, %v", p.Groups, err)
	}
	_, secret, err = h.Rotate(t.Context(), lock.Origin{}, first.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := h.Authenticate(t.Context(), secret, time.Now()); err != nil || p.Groups != w.Groups {
		t.Errorf("after a rotation %q, %v", p.Groups, err)
	}
}

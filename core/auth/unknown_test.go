package auth_test

import (
	"context"
	"errors"
	"testing"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// An error that promises that nothing was done must not be the answer to a change that is made.
func TestTokenChangesThatWereMadeAreNotDenied(t *testing.T) {
	for _, lost := range []error{lock.ErrDeposed, lock.ErrClosed, context.Canceled} {
		h := open(t, memory.New(), "")
		token, secret := h.mustCreate(t, wish(t, "a", "admin"))
		h.journal.err = lost
		if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); !errors.Is(err, lock.ErrOutcomeUnknown) {
			t.Errorf("%v after a token was revoked: got %v", lost, err)
		}
		h.want(t, secret, auth.ErrRevoked)
	}
}

// A store that does not know what became of a write leaves the token as it was, for another try.
func TestTokenOfUnknownFateCanBeRevokedAgain(t *testing.T) {
	h := open(t, memory.New(), "")
	token, secret := h.mustCreate(t, wish(t, "a", "admin"))
	h.store.err = errors.Join(lock.ErrOutcomeUnknown, lock.ErrDeposed)
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); !errors.Is(err, lock.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	h.store.err = nil
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); err != nil {
		t.Errorf("the next try: %v", err)
	}
	h.want(t, secret, auth.ErrRevoked)
}

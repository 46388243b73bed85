package core

import (
	"errors"
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
)

// ErrForbidden is the answer to a principal without the necessary scope. The
// [*ForbiddenError] that wraps it names the action and the scope.
var ErrForbidden = errors.New("this account may not do that")

// ForbiddenError says what a principal may not do. It depends on the request only, so it
// does not reveal whether a lock exists.
type ForbiddenError struct {
	What  string // "acquire the lock prod/db", "list locks"
	Needs string // the scopes that would allow it, besides admin, in words
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("this account may not %s; its token would need the scope %s", e.What, e.Needs)
}

// Unwrap returns [ErrForbidden].
func (e *ForbiddenError) Unwrap() error { return ErrForbidden }

// may returns nil if the principal may do something to a lock, else a [*ForbiddenError].
func may(p auth.Principal, do string, verb auth.Verb, name lock.Name) error {
	if p.May(verb, name) {
		return nil
	}
	needs := auth.ScopeOf(verb, string(name))
	if folder, _, deep := strings.Cut(string(name), "/"); deep {
		needs += " or a wider one such as " + auth.ScopeOf(verb, folder+"/**")
	}
	return &ForbiddenError{What: fmt.Sprintf("%s the lock %s", do, name), Needs: needs + ", or admin"}
}

// MaySome returns nil if there are names the principal may do verb to, else a
// [*ForbiddenError] that says what, such as "list locks".
func MaySome(p auth.Principal, what string, verb auth.Verb) error {
	if p.MaySome(verb) {
		return nil
	}
	return &ForbiddenError{
		What:  what,
		Needs: fmt.Sprintf("%s:** or %s with a narrower pattern such as %s:team-a/**, or admin", verb, verb, verb),
	}
}

// MayAll returns nil if the principal may do verb, which is not about names, or do it to
// every name, else a [*ForbiddenError] that says what, such as "reload policies".
func MayAll(p auth.Principal, what string, verb auth.Verb) error {
	switch {
	case p.MayAll(verb):
		return nil
	case verb == auth.Admin:
		return &ForbiddenError{What: what, Needs: "admin"}
	case verb == auth.Policies:
		return &ForbiddenError{What: what, Needs: "policies or admin"}
	}
	return &ForbiddenError{What: what, Needs: fmt.Sprintf("%s:** or admin", verb)}
}

package param

import (
	"slices"
	"strings"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
)

// ErrTokenInURL refuses a token where it does not belong, whether it is a good one or
// not.
var ErrTokenInURL = &input.Error{
	Field:   "token",
	Problem: "is in the URL, where logs and histories keep it",
	Want:    "the header Authorization: Bearer TOKEN, and a new token in the place of this one if it is real",
}

// errTokenInBody refuses one that is not a parameter there.
var errTokenInBody = &input.Error{
	Field:   "token",
	Problem: "is in the body, where nobody looks for it",
	Want:    "the header Authorization: Bearer TOKEN",
}

// errTokenInValue refuses a token that is about to be recorded and shown.
func errTokenInValue(field string) error {
	return &input.Error{
		Field:   Shorten(field),
		Problem: "holds a token, and would be recorded and shown",
		Want:    "the token in the header Authorization only, and a new one in its place",
	}
}

// credentialNames are what people call a token in a query. None is a parameter.
var credentialNames = []string{"token", "access_token", "auth_token", "api_key", "apikey", "authorization", "bearer", "octostore_token"}

func namesCredential(name string) bool {
	return slices.Contains(credentialNames, strings.ToLower(name))
}

func TokenInQuery(query string) bool {
	if auth.HoldsSecret(query) {
		return true
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); namesCredential(name) {
			return true
		}
	}
	return false
}

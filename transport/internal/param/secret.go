package param

import (
	"slices"
	"strings"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
)

// ErrTokenInURL refuses a token in the URL, whether it is valid or not.
var ErrTokenInURL = &input.Error{
	Field:   "token",
	Problem: "is in the URL, where logs and histories keep it",
	Want:    "the header Authorization: Bearer TOKEN, and a new token to replace this one if it is real",
}

// errTokenInBody refuses a token in the body.
var errTokenInBody = &input.Error{
	Field:   "token",
	Problem: "is in the body, where it does not belong",
	Want:    "the header Authorization: Bearer TOKEN",
}

// errTokenInValue refuses a token in a parameter that would be recorded and shown.
func errTokenInValue(field string) error {
	return &input.Error{
		Field:   Shorten(field),
		Problem: "holds a token, and would be recorded and shown",
		Want:    "the token in the header Authorization only, and a new one to replace it",
	}
}

// credentialNames are names under which clients send tokens in a query. None of them is a
// parameter.
var credentialNames = []string{"token", "access_token", "auth_token", "api_key", "apikey", "authorization", "bearer", "octostore_token"}

func namesCredential(name string) bool {
	return slices.Contains(credentialNames, strings.ToLower(name))
}

// TokenInQuery reports whether a query has a token, or a parameter with the name of one.
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

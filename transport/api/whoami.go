package api

import "time"

// Whoami is the answer of GET /v1/whoami: the account of the request, and what it may do.
type Whoami struct {
	Account string `json:"account"`
	// TokenName and TokenID are those of the token of the request; empty on a server without
	// tokens.
	TokenName string     `json:"token_name"`
	TokenID   string     `json:"token_id"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // absent: never
	// Scopes are what the account may do, each like "acquire,read:team-a/**".
	Scopes []string `json:"scopes"`
	// Tokens says whether the server requires tokens; if not, every client may do everything.
	Tokens bool `json:"tokens"`
	// GitHub says whether users can log in with GitHub.
	GitHub  bool   `json:"github"`
	Version string `json:"version"` // of the server
}

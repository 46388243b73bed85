package api

import "time"

// Token is a token without its secret.
type Token struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Account string `json:"account"`
	// Scopes say what it may do, like "acquire,read:team-a/** break:team-a/x".
	Scopes    string     `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`   // absent: never
	UsedAt    *time.Time `json:"last_used_at,omitempty"` // within a minute or two; absent: not yet
	RevokedAt *time.Time `json:"revoked_at,omitempty"`   // absent: it is not revoked
	// FromFile means that it is in the server's tokens file, and can only be changed there.
	FromFile bool `json:"from_file,omitempty"`
}

// TokenList is the answer of GET /v1/tokens: a page of the tokens, the oldest first.
type TokenList struct {
	Tokens []Token `json:"tokens"`
	// Next is passed as after to get the next page; empty at the end.
	Next string `json:"next"`
}

// NewToken is a token that was just created.
type NewToken struct {
	Token
	// Secret is sent as a bearer token. It is shown only this once.
	Secret string `json:"token"`
}

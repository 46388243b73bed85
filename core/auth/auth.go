// Package auth says who a request comes from and what that account may do.
//
// So far there is one account, for servers without tokens: [Local]. It may do
// everything, which is why such a server listens on loopback only.
package auth

import "github.com/octostore/octostore/core/lock"

// Verb is one thing an account may be allowed to do with a name.
type Verb string

// Verbs.
const (
	Acquire  Verb = "acquire" // acquire, renew and release
	Read     Verb = "read"    // get and list
	Break    Verb = "break"
	Audit    Verb = "audit"    // read the whole journal; not about one name
	Policies Verb = "policies" // see what rules, and load it again
)

// Principal is the account a request was authenticated as. It is a small value,
// safe to copy and to share.
type Principal struct {
	Account string
	TokenID string // empty: not by a token

	// everything is what the local account is given; scopes take its place when
	// there are tokens.
	everything bool
}

// LocalAccount is the name of the only account of a server without tokens.
const LocalAccount = "local"

// Local returns the principal of a server without tokens. It may do everything.
func Local() Principal { return Principal{Account: LocalAccount, everything: true} }

// May reports whether the principal may do verb to the named lock. The zero
// Principal may do nothing.
func (p Principal) May(verb Verb, name lock.Name) bool { return p.everything }

package transport

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/login"
)

// What is undone if it cannot be delivered fits into what net/http keeps until it is flushed, so that the
// flush is the write: if the client has it all and leaves, nothing that fails later can undo it. For longer
// answers HTTP/2 would fail the flush because the client has left.
func TestGrantFitsIntoOneWrite(t *testing.T) {
	const kept = 2 << 10 // of a body, with HTTP/1; with HTTP/2 it is twice that
	now := time.Now()
	account := strings.Repeat("a", auth.MaxAccount)
	grant := wire.Grant{
		Wait: 24 * time.Hour,
		Grant: table.Grant{
			LeaseID: strings.Repeat("i", 32), Waited: 24 * time.Hour,
			Lease: &lock.Lease{
				Name: lock.Name(strings.Repeat("n", lock.MaxName)), Token: 1<<63 - 1, Account: account,
				Holder: strings.Repeat(`"`, lock.MaxHolder), Reason: strings.Repeat(`"`, lock.MaxReason),
				TTL: 30 * 24 * time.Hour, ConfirmWithin: time.Hour, GrantedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour),
			},
		},
	}
	if n := len(grant.Append(nil, wire.Times{Received: now, Now: now})); n > kept {
		t.Errorf("a grant may have %d bytes, more than %d", n, kept)
	}
	page := login.TokenPage(login.Token{
		Token:  auth.Token{ID: strings.Repeat("i", 32), Account: account, Created: now, Expires: now},
		Secret: strings.Repeat("s", 64),
	})
	if n := len(page); n > kept {
		t.Errorf("the page of a token may have %d bytes, more than %d", n, kept)
	}
}

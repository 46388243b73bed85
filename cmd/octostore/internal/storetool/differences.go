package storetool

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
)

// differences returns an error that names the first thing in which a copy differs.
func differences(a, b content.Table) error {
	switch {
	case a.Head != b.Head:
		return fmt.Errorf("its newest record is %d, not %d", b.Head.Seq, a.Head.Seq)
	case a.Cut != b.Cut:
		return fmt.Errorf("its records begin after %d, not after %d", b.Cut.Seq, a.Cut.Seq)
	case string(a.Secret) != string(b.Secret):
		return fmt.Errorf("the secret of its lease ids is another one")
	case !a.Key.Equal(b.Key):
		return fmt.Errorf("its signing key is another one")
	case !slices.Equal(a.Cursors, b.Cursors):
		return fmt.Errorf("the cursors of its observers differ")
	}
	if !slices.EqualFunc(a.Leases, b.Leases, sameLease) {
		return fmt.Errorf("its leases differ")
	}
	if !slices.EqualFunc(a.Tokens, b.Tokens, sameToken) {
		return fmt.Errorf("its tokens differ")
	}
	return nil
}

// sameLease compares all but the time left. A copy may have no less, give or take what the
// copying took.
func sameLease(a, b lock.Loaded) bool {
	x, y := a.Lease, b.Lease
	return x.Name == y.Name && x.Token == y.Token && x.Account == y.Account && x.Holder == y.Holder && x.Reason == y.Reason &&
		x.TTL == y.TTL && x.ConfirmWithin == y.ConfirmWithin && x.GrantedAt.Equal(y.GrantedAt) && maps.Equal(x.Metadata, y.Metadata) &&
		a.Attempt == b.Attempt && b.Remaining > a.Remaining-time.Second
}

func sameToken(a, b auth.Token) bool {
	return a.ID == b.ID && a.Hash == b.Hash && a.Name == b.Name && a.Account == b.Account &&
		a.Scopes.String() == b.Scopes.String() && a.Groups == b.Groups &&
		a.Created.Equal(b.Created) && a.Expires.Equal(b.Expires) && a.Used.Equal(b.Used) && a.Revoked.Equal(b.Revoked)
}

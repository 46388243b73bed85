package table

import (
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// FuzzLeaseID: nothing proves a hold but the very id that was given out for it.
func FuzzLeaseID(f *testing.F) {
	ids := newLeaseIDs([]byte("a secret of thirty-two bytes now"))
	for _, s := range []string{ids.id("a", 1), ids.id("a/b", 1<<53-1), "", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add("a", s)
	}
	f.Fuzz(func(t *testing.T, name, id string) {
		token, err := ids.token(lock.Name(name), id)
		if err == nil && ids.id(lock.Name(name), token) != id {
			t.Errorf("%q proves token %d of %q, whose id is %q", id, token, name, ids.id(lock.Name(name), token))
		}
		own := ids.id(lock.Name(name), lock.Token(len(id)))
		if got, err := ids.token(lock.Name(name), own); err != nil || got != lock.Token(len(id)) {
			t.Errorf("%q does not prove its own lease of %q: %d, %v", own, name, got, err)
		}
	})
}

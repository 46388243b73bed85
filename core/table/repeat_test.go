package table

import (
	"errors"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// The answer to a release may be lost, so the same release again is a success. The
// lease id still has to be that of the lock.
func TestReleaseRepeatedIsThatOfItsOwnLock(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		x := mustAcquire(t, tab, try("x"))
		mustRelease(t, tab, x)
		mustRelease(t, tab, x)
		_, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "y", LeaseID: x.LeaseID})
		if !errors.Is(err, lock.ErrNotHeld) {
			t.Errorf("the lease id of x releases y: %v", err)
		}
	})
}

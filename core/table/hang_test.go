package table

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Holders, too, are told when a commit hangs. What they asked for may happen yet, so
// nothing else can be said.
func TestCommitThatHangsKeepsNoHolderWaiting(t *testing.T) {
	for name, ask := range map[string]func(*testing.T, *Table, Grant) error{
		"renew": func(t *testing.T, tab *Table, g Grant) error {
			_, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
			return err
		},
		"release": func(t *testing.T, tab *Table, g Grant) error {
			_, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
			return err
		},
		"break": func(t *testing.T, tab *Table, g Grant) error {
			_, err := tab.Break(t.Context(), lock.BreakRequest{Origin: me, Name: "x"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
				g := mustAcquire(t, tab, try("x"))
				gate := make(chan struct{})
				d.set(gate, nil)
				start := time.Now()
				if err := ask(t, tab, g); !errors.Is(err, lock.ErrOutcomeUnknown) || time.Since(start) != 2*time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				close(gate)
				synctest.Wait()
			})
		})
	}
}

package table

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// loadedAt returns a diary with a lease of x that was granted at an instant by the wall
// clock, as a store gives it back.
func loadedAt(granted time.Time) *diary {
	d := newDiary()
	d.head = 7
	d.rows["x"] = lock.Row{Name: "x", Lease: &lock.Lease{
		Name: "x", Token: 7, Account: "acme", TTL: time.Hour,
		GrantedAt: time.Unix(0, granted.UnixNano()).UTC(), ExpiresAt: time.Now().Add(time.Hour),
	}}
	return d
}

// A clock that was set back before a restart makes the grant lie in the future. Nothing
// that ends such a lease says that it was held for less than no time.
func TestHeldForIsNeverNegative(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, tab *Table) lock.EndedLease{
		"release": func(t *testing.T, tab *Table) lock.EndedLease {
			r := lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: tab.ids.id("x", 7)}
			if _, err := tab.Release(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			over, err := tab.Release(t.Context(), r) // repeated, as after a lost answer
			if err != nil {
				t.Fatal(err)
			}
			return over
		},
		"break": func(t *testing.T, tab *Table) lock.EndedLease {
			over, err := tab.Break(t.Context(), lock.BreakRequest{Origin: me, Name: "x"})
			if err != nil {
				t.Fatal(err)
			}
			return over
		},
		"expiry": func(t *testing.T, tab *Table) lock.EndedLease {
			time.Sleep(time.Hour)
			synctest.Wait()
			return lock.EndedLease{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := loadedAt(time.Now().Add(5 * time.Hour))
				tab, err := Open(t.Context(), d, Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer tab.Close()
				if over := end(t, tab); over.Held < 0 {
					t.Errorf("held for %v", over.Held)
				}
				if s := tab.Stats().Holds; s.Sum < 0 || s.Count() != 1 {
					t.Errorf("%d holds, %v s in all", s.Count(), s.Sum)
				}
			})
		})
	}
}

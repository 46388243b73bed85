package table

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A command is used again only when nothing of the request before can reach the loop any
// more. Else a departure that crosses the answer would hit the request of a stranger.
func TestCommandsUnderWayAreNotUsedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		asks  bool // policies are asked at the turn
		leave bool // the client leaves while its grant is on the way to the disk
		again bool
	}{
		"answered":              {again: true},
		"left before the grant": {leave: true},
		"claimed":               {asks: true},
		"claimed and left":      {asks: true, leave: true},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
				g := mustAcquire(t, tab, try("x"))
				var agrees Recheck
				if tt.asks {
					agrees = func(context.Context, lock.Turn) (lock.Opinion, error) { return lock.Opinion{}, nil }
				}
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				busy := make(chan struct{})
				d.set(busy, nil)
				go tab.Append(t.Context(), lock.Event{Kind: lock.Started})
				synctest.Wait() // the loop is busy, so that the request lies before it
				got := tab.startWith(ctx, wait("x", time.Hour), agrees)
				synctest.Wait()
				c := tab.inbox.commands[0].Caller.(*request)
				d.set(nil, nil)
				close(busy)
				synctest.Wait()

				gate := make(chan struct{})
				d.set(gate, nil)
				go tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
				if tt.asks {
					gate <- struct{}{} // the release; the call comes with its commit
				}
				synctest.Wait() // the grant is on its way to the disk
				if tt.leave {
					hangUp()
					synctest.Wait()
				}
				close(gate)
				if o := <-got; o.err != nil {
					t.Fatal(o.err)
				}
				if again := c.Name == ""; again != tt.again {
					t.Errorf("the command is used again: %v, want %v", again, tt.again)
				}
			})
		})
	}
}

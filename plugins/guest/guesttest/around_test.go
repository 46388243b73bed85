//go:build !wasip1

package guesttest

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/plugins/guest"
)

// The stand-in lets a policy look only where "reads" of the fixtures lets it, with the
// server's words.
func TestFixturesSayWhereAPolicyMayLook(t *testing.T) {
	guest.Check(func(q guest.Request) guest.Verdict {
		if held, _, _ := q.OtherLock(q.LockName()); held {
			return guest.Deny("held")
		}
		return guest.Allow
	})
	t.Cleanup(func() { mayRead(nil) })
	r := NewRequest()
	for _, tt := range []struct {
		reads      []string
		name, want string
	}{
		{nil, "incident/x", ""},
		{[]string{"incident/"}, "incident/x", ""},
		{[]string{""}, "incident/x", ""},
		{[]string{}, "incident/x", `lock.state:incident/x is not readable: add "incident/" to "reads" of the manifest`},
		{[]string{"incident/"}, "freeze", `lock.state:freeze is not readable: add "freeze" to "reads" of the manifest`},
	} {
		mayRead(tt.reads)
		r.Lock.Name = tt.name
		a := Ask(r)
		if (a.Err == nil) != (tt.want == "") || a.Err != nil && !strings.Contains(a.Err.Error(), tt.want) {
			t.Errorf("%s with %q: %v, want %q", tt.name, tt.reads, a.Err, tt.want)
		}
	}
}

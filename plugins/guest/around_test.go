package guest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/guesttest"
)

func TestPolicyReadsOtherLocks(t *testing.T) {
	r := guesttest.NewRequest()
	r.Lock = guesttest.Lock{Name: "prod/db", Held: true, GrantedAtMS: 1_767_225_660_500}
	r.Locks = map[string]guesttest.OtherLock{"incident/db": {Held: true, Holder: "pager", Account: "bob"}, "approval/1": {}}
	r.Held = map[string]int64{"team-a/": 3, "": 7}
	r.AccountGroups = []string{"github:acme", "github:acme/ops"}
	r.NowMS = time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC).UnixMilli()
	policy(t, func(q guest.Request) guest.Verdict {
		if held, holder, account := q.OtherLock("incident/db"); !held || holder != "pager" || account != "bob" {
			t.Error(held, holder, account)
		}
		for _, name := range []string{"approval/1", "other"} {
			if held, holder, account := q.OtherLock(name); held || holder != "" || account != "" {
				t.Error(name, holder, account)
			}
		}
		if q.HeldByAll("team-a/") != 3 || q.HeldByAll("") != 7 || q.HeldByAll("team-b/") != 0 {
			t.Error("counts")
		}
		for group, want := range map[string]bool{"github:acme": true, "github:acme/ops": true, "github:acme/op": false, "ops": false, "": false} {
			if member, known := q.InGroup(group); member != want || !known {
				t.Errorf("%q: %v, %v", group, member, known)
			}
		}
		if lines, known := q.Groups(); lines != "github:acme\ngithub:acme/ops" || !known {
			t.Errorf("%q", lines)
		}
		for zone, want := range map[string]string{
			"Europe/Berlin": "2026-03-29T03:30:00+02:00", "America/St_Johns": "2026-03-28T23:00:00-02:30", "UTC": "2026-03-29T01:30:00Z",
			"Europe/Lisbon": "2026-03-29T02:30:00+01:00",
		} {
			if at, known := q.LocalTime(zone); at.Format(time.RFC3339) != want || !known {
				t.Errorf("%s: %v, want %s", zone, at, want)
			}
		}
		if at, known := q.LocalTime("Europe/Nowhere"); known || !at.IsZero() {
			t.Error(at)
		}
		if !q.LockGrantedAt().Equal(time.UnixMilli(1_767_225_660_500)) {
			t.Error(q.LockGrantedAt())
		}
		if strings.Contains(q.JSON(), "pager") || strings.Contains(q.JSON(), "team-a") || !strings.Contains(q.JSON(), `"granted_at_ms":1767225660500`) {
			t.Error(q.JSON())
		}
		return guest.Allow
	})
	if a := guesttest.Ask(r); a.Verdict != "allow" {
		t.Error(a)
	}
	policy(t, func(q guest.Request) guest.Verdict {
		if member, known := q.InGroup("github:acme"); member || known {
			t.Error("groups are known that no request has")
		}
		if !q.LockGrantedAt().IsZero() {
			t.Error("a free lock was granted")
		}
		return guest.Allow
	})
	guesttest.Ask(guesttest.NewRequest())
}

// FuzzEndOfALocalTime looks for a text of a host that makes a policy panic.
func FuzzEndOfALocalTime(f *testing.F) {
	for _, text := range []string{"", "Z", "+01:00", "2026-03-28T23:00:00-02:30", "::::::"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { guest.ZoneOffset(text) })
}

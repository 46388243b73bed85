package sqlite

import (
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/storetest"
)

// After another boot no clock tells how long a lease has run. It gets the longer of its ttl
// and of the time it had left when it was written, so that it may end late but never early.
// Within a boot it keeps the promised time, also if that is more than its ttl.
func TestAdoptionGivesTheLongerOfTTLAndRest(t *testing.T) {
	const ttl = time.Minute
	for name, tt := range map[string]struct {
		left            time.Duration // when it was written
		adopted, stayed time.Duration
	}{
		"less is left than the ttl": {20 * time.Second, time.Minute, 20 * time.Second},
		"all of it is left":         {time.Minute, time.Minute, time.Minute},
		"more is left than the ttl": {5 * time.Minute, 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeClocks{wall: time.Now(), boot: time.Hour, id: "first"}
			cfg := Config{Path: newPath(t), clocks: fake.clocks()}
			s := open(t, cfg)
			storetest.Load(t, s)
			r := storetest.Row("x", 1, ttl)
			r.Lease.ExpiresAt = fake.wall.Add(tt.left)
			new(storetest.Line).Commit(t, s, 1, r)

			s = reopen(t, s, cfg)
			if left := storetest.Load(t, s).Leases[0].Remaining; left != tt.stayed {
				t.Errorf("in the same boot %v are left, want %v", left, tt.stayed)
			}
			fake.id, fake.boot = "second", 0
			s = reopen(t, s, cfg)
			if left := storetest.Load(t, s).Leases[0].Remaining; left != tt.adopted {
				t.Errorf("in the next boot %v are left, want %v", left, tt.adopted)
			}
		})
	}
}

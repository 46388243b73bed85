package journal

import (
	"context"
	"time"
)

// What a journal takes of a store that has a quota, such as etcd: a week and a quarter of the
// quota at most. Above half the quota it gives up an eighth of what it has, again and again
// at this interval: the space is free only once the store has been compacted.
const (
	sharedAge    = 7 * 24 * time.Hour
	sharedKeep   = time.Hour // a store with many writers needs the newest records itself
	quotaShare   = 4
	pressedAbove = 2 // of the quota
	pressedEvery = 10 * time.Minute
	givenUp      = 8

	tellEvery = 24 * time.Hour
)

// pressure is what a Keeper remembers of a store that is more than half full.
type pressure struct {
	since  time.Time // when it last gave something up
	target int64     // bytes to shrink to; 0: it is that small
}

// tellLoss logs, once a day at most, how far back the log goes in a store that keeps little of
// it, if there is no archive.
func (k *Keeper) tellLoss() {
	j, now := k.cfg.Journal, time.Now()
	pruned := j.Pruned().Seq
	if k.cfg.Space == nil || j.Archive() != nil || pruned == k.told || now.Sub(k.toldAt) < tellEvery {
		return
	}
	k.told, k.toldAt = pruned, now
	k.cfg.Logger.Warn(
		"the oldest audit records were pruned, and there is no archive that has them; set OCTOSTORE_AUDIT_ARCHIVE to keep all",
		"begins", j.Begins().Time.UTC().Format(time.RFC3339),
	)
}

// limits returns the retention that applies now, and by how many bytes the store has to
// shrink: 0 within its limit, else enough to bring it a little below, so that it is not too
// large again at once.
func (k *Keeper) limits(ctx context.Context, now time.Time) (r Retention, excess int64, err error) {
	r = k.cfg.Retention
	var inUse, quota int64
	if k.cfg.Space != nil {
		if inUse, quota, err = k.cfg.Space(ctx); err != nil {
			return r, 0, err
		}
		r.Age = smallest(r.Age, sharedAge)
		r.Size = smallest(r.Size, quota/quotaShare)
		r.Keep = max(r.Keep, sharedKeep)
	}
	if k.cfg.Used == nil || r.Size == 0 {
		return r, 0, nil
	}
	used, err := k.cfg.Used(ctx)
	if err != nil {
		return r, 0, err
	}
	if quota > 0 {
		r.Size = smallest(r.Size, k.pressure.limit(now, used, inUse > quota/pressedAbove))
	}
	if used <= r.Size {
		return r, 0, nil
	}
	return r, used - r.Size + r.Size/32, nil
}

// limit returns the size to shrink to while the store is pressed for space, 0 for none.
func (p *pressure) limit(now time.Time, used int64, pressed bool) int64 {
	if used <= p.target {
		p.target = 0
	}
	if pressed && p.target == 0 && now.Sub(p.since) >= pressedEvery {
		p.since, p.target = now, max(used-used/givenUp, 1)
	}
	return p.target
}

// smallest returns the smaller of two limits; 0 is no limit.
func smallest[T ~int64](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Replay rebuilds the leases from records alone. Make one with [NewReplay].
type Replay struct {
	after   lock.Seq // leases granted up to this event are not known
	last    lock.Seq
	held    map[lock.Name]HeldLease
	records int64
	faults  []string
}

// HeldLease is a lease according to the records.
type HeldLease struct {
	record.Record           // its grant or its last renewal
	Granted       time.Time // zero: before the first record of the replay
}

// NewReplay begins a replay of the events after the given one, 0 for a whole journal.
func NewReplay(after lock.Seq) *Replay {
	return &Replay{after: after, held: map[lock.Name]HeldLease{}}
}

// Last returns the last event that was applied.
func (r *Replay) Last() lock.Seq { return r.last }

// HeldLease returns the leases, sorted by name.
func (r *Replay) Held() []HeldLease {
	return slices.SortedFunc(maps.Values(r.held), func(a, b HeldLease) int { return cmp.Compare(a.Name, b.Name) })
}

// Faults returns contradictions between records: a lock granted while it is held, the end of
// a lease that does not exist.
func (r *Replay) Faults() []string { return r.faults }

// Apply applies the next record.
func (r *Replay) Apply(line []byte) error {
	l, ok := record.Peek(line)
	if !ok {
		return fmt.Errorf("this is not a record: %.80q", line)
	}
	r.last = l.Seq
	r.records++
	if l.Kind != lock.Granted && l.Kind != lock.Renewed && !l.Kind.Ends() {
		return nil
	}
	rec, err := record.Parse(line)
	if err != nil {
		return fmt.Errorf("record %d: %w", l.Seq, err)
	}
	r.change(rec)
	return nil
}

func (r *Replay) change(rec record.Record) {
	before, held := r.held[rec.Name]
	switch {
	case rec.Kind == lock.Granted:
		if held {
			r.fault(rec, "%s is granted although token %d has it", rec.Name, before.Token)
		}
		if rec.Token != rec.Seq {
			r.fault(rec, "its token is %d", rec.Token)
		}
		r.held[rec.Name] = HeldLease{Record: rec, Granted: rec.Time}
		return
	case held && before.Token != rec.Token:
		r.fault(rec, "%s of %s is about token %d, but token %d has it", rec.Kind, rec.Name, rec.Token, before.Token)
	case !held && rec.Token > r.after:
		r.fault(rec, "%s of %s, which is not held", rec.Kind, rec.Name)
	}
	if rec.Kind == lock.Renewed {
		r.held[rec.Name] = HeldLease{Record: rec, Granted: before.Granted}
		return
	}
	delete(r.held, rec.Name)
}

func (r *Replay) fault(rec record.Record, format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf("record %d: ", rec.Seq)+fmt.Sprintf(format, args...))
}

// Differences compares the leases of a store, all as of the newest record, with those of
// the replay. Leases that were granted before the replay began, and not renewed since, are
// unknown to the replay; it counts them.
func (r *Replay) Differences(stored []lock.Loaded) (found []string, unknown int) {
	left := maps.Clone(r.held)
	for i := range stored {
		l := &stored[i].Lease
		h, ok := left[l.Name]
		delete(left, l.Name)
		switch {
		case !ok && l.Token <= r.after:
			unknown++
		case !ok:
			found = append(found, fmt.Sprintf("%s: the database has token %d, the records say it is free", l.Name, l.Token))
		default:
			found = append(found, h.differences(l)...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		found = append(found, fmt.Sprintf("%s: the records say token %d has it, in the database it is free", name, left[name].Token))
	}
	return found, unknown
}

func (h *HeldLease) differences(l *lock.Lease) (found []string) {
	check := func(what string, recorded, stored any) {
		if recorded != stored {
			found = append(found, fmt.Sprintf("%s: %s is %v in the records and %v in the database", l.Name, what, recorded, stored))
		}
	}
	check("the token", h.Token, l.Token)
	check("the account", h.Account, l.Account)
	check("the holder", h.Holder, l.Holder)
	check("the reason", h.Reason, l.Reason)
	check("the ttl", h.TTLMS, l.TTL.Milliseconds())
	check("the time to confirm", h.ConfirmMS, l.ConfirmWithin.Milliseconds())
	if !maps.Equal(h.Metadata, l.Metadata) {
		check("the metadata", fmt.Sprint(h.Metadata), fmt.Sprint(l.Metadata))
	}
	if !h.Granted.IsZero() {
		check("the grant", h.Granted.UTC().Format(record.TimeFormat), l.GrantedAt.UTC().Format(record.TimeFormat))
	}
	return found
}

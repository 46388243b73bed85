// Package audittool implements octostore audit: it exports and follows the audit log,
// verifies and replays exports, and lists the holders of locks with their times. It reads
// exports from files and the standard input, and a database whether a server runs on it or
// not. It never writes to a database.
package audittool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Held is the End of a lease whose end is not on record.
const Held = "held"

// LeaseKinds are the kinds of records about leases.
var LeaseKinds = []lock.Kind{lock.Granted, lock.Renewed, lock.Released, lock.Expired, lock.Broken, lock.Undone}

// Lease is one hold of one lock, rebuilt from records.
type Lease struct {
	Name     lock.Name         `json:"name"`
	Token    lock.Token        `json:"fencing_token"`
	Account  string            `json:"account"`
	Holder   string            `json:"holder"`
	Reason   string            `json:"reason"`
	Metadata map[string]string `json:"metadata,omitempty"`
	// GrantedAt is nil if the grant is older than the records.
	GrantedAt *time.Time `json:"granted_at"`
	// EndedAt is nil if the end is not on record; then ExpiresAt is the newest deadline.
	EndedAt   *time.Time `json:"ended_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// HeldMS is the time from grant to end, 0 if unknown.
	HeldMS int64 `json:"held_ms,omitempty"`
	// End is how it ended: released, expired, broken, undone; or Held.
	End   string `json:"end"`
	By    string `json:"by,omitempty"`    // the account that ended it, if it was another one
	Cause string `json:"cause,omitempty"` // why it ended, in words
	// TokenID and RemoteAddr are those of the acquire.
	TokenID    string   `json:"token_id,omitempty"`
	RemoteAddr string   `json:"remote_addr,omitempty"`
	Priority   string   `json:"priority,omitempty"` // front or back, if it waited with that
	Policies   []Policy `json:"policies,omitempty"`
	// PolicySet is the id of the policy set that allowed the grant, empty if none was asked.
	// Policies leaves out its policies that only allowed; the record of kind
	// policies_loaded lists all of them.
	PolicySet string `json:"policy_set,omitempty"`
}

// Policy is the newest verdict of a policy on the grant or on a renewal.
type Policy struct {
	Name    string `json:"policy"`
	At      string `json:"at"`
	Mode    string `json:"mode"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
}

// Query selects leases. The zero Query selects all.
type Query struct {
	Name    lock.Name // that of the lock
	Prefix  string    // bytes the name begins with
	Account string    // whose lease it is
	// Since and Until select leases that were held at some time in the span from Since
	// (inclusive) to Until (exclusive). Zero: no bound.
	Since, Until time.Time
}

// At restricts the query to leases that were held at an instant. A lease that ended exactly
// then is left out.
func (q *Query) At(t time.Time) { q.Since, q.Until = t, t.Add(1) }

// leaseLog rebuilds leases from records. It keeps only live leases in memory. It is for one
// goroutine.
type leaseLog struct {
	query Query
	each  func(*Lease) error
	live  map[lock.Name]*Lease
}

// newLeaseLog returns a leaseLog that calls each with every selected lease, in the order of
// their ends.
func newLeaseLog(q Query, each func(*Lease) error) *leaseLog {
	return &leaseLog{query: q, each: each, live: map[lock.Name]*Lease{}}
}

// Add takes the next line of an export or a journal. It ignores lines that are not about
// leases.
func (ls *leaseLog) Add(line []byte) error {
	var r record.Record
	if err := json.Unmarshal(line, &r); err != nil {
		return exitcode.As(exitcode.Tampered, fmt.Errorf("this is not a record: %.80q", line))
	}
	if !slices.Contains(LeaseKinds, r.Kind) {
		return nil
	}
	// Do not filter by time here: the clock may have been set back between records.
	switch {
	case !ls.query.named(&r):
	case r.Kind == lock.Granted:
		err := ls.lost(r.Name)
		ls.live[r.Name] = granted(&r)
		return err
	case r.Kind == lock.Renewed:
		return ls.renew(&r)
	default:
		return ls.end(&r)
	}
	return nil
}

// named reports whether the record is about a lock that the query may select.
func (q *Query) named(r *record.Record) bool {
	return (q.Name == "" || r.Name == q.Name) && strings.HasPrefix(string(r.Name), q.Prefix) &&
		(q.Account == "" || r.Account == q.Account)
}

// leaseOf returns the lease fields that every record has.
func leaseOf(r *record.Record) *Lease {
	return &Lease{Name: r.Name, Token: r.Token, Account: r.Account, Holder: r.Holder, Reason: r.Reason, Metadata: r.Metadata, End: Held}
}

func granted(r *record.Record) *Lease {
	l := leaseOf(r)
	l.GrantedAt, l.TokenID, l.RemoteAddr, l.Priority = &r.Time, r.TokenID, r.RemoteAddr, r.Priority
	l.PolicySet = cmp.Or(r.SetAtGrant, r.PolicySet)
	l.deadline(r)
	l.said(r.Verdicts)
	return l
}

// deadline updates the deadline from a grant or a renewal.
func (l *Lease) deadline(r *record.Record) {
	end := r.ExpiresAt
	if end.IsZero() {
		// An unconfirmed lease ends sooner.
		end = r.Time.Add(time.Duration(cmp.Or(r.ConfirmMS, r.TTLMS)) * time.Millisecond)
	}
	l.ExpiresAt = &end
}

// said replaces earlier verdicts of the same policies by those of the record.
func (l *Lease) said(verdicts record.Verdicts) {
	for _, v := range verdicts {
		p := Policy{Name: v.Policy, At: v.At, Mode: v.Mode, Verdict: v.Verdict, Reason: v.Reason}
		i := slices.IndexFunc(l.Policies, func(o Policy) bool { return o.Name == p.Name && o.At == p.At })
		if i < 0 {
			l.Policies = append(l.Policies, p)
			continue
		}
		l.Policies[i] = p
	}
}

// known returns the lease a record is about. Its grant may be older than the records.
func (ls *leaseLog) known(r *record.Record) *Lease {
	if l := ls.live[r.Name]; l != nil && l.Token == r.Token {
		return l
	}
	return leaseOf(r)
}

// passed reports the lease before the one of this record, if both its end and the next
// grant are missing from the records.
func (ls *leaseLog) passed(r *record.Record) error {
	if l := ls.live[r.Name]; l != nil && l.Token != r.Token {
		return ls.lost(r.Name)
	}
	return nil
}

func (ls *leaseLog) renew(r *record.Record) error {
	if err := ls.passed(r); err != nil {
		return err
	}
	l := ls.known(r)
	l.deadline(r)
	l.said(r.Verdicts)
	ls.live[r.Name] = l
	return nil
}

func (ls *leaseLog) end(r *record.Record) error {
	if err := ls.passed(r); err != nil {
		return err
	}
	l := ls.known(r)
	delete(ls.live, r.Name)
	l.EndedAt, l.ExpiresAt, l.HeldMS, l.End = &r.Time, nil, r.HeldMS, string(r.Kind)
	l.By, l.Cause = r.By, r.Cause
	if r.Kind == lock.Undone || r.Kind == lock.Broken {
		l.said(r.Verdicts)
	}
	return ls.tell(l)
}

// lost reports a lease whose end is missing from the records although the lock was granted
// again.
func (ls *leaseLog) lost(name lock.Name) error {
	l := ls.live[name]
	if l == nil {
		return nil
	}
	delete(ls.live, name)
	return ls.tell(l)
}

// End reports the leases that have not ended, in order of name.
func (ls *leaseLog) End() error {
	byName := func(a, b *Lease) int { return cmp.Compare(a.Name, b.Name) }
	for _, l := range slices.SortedFunc(maps.Values(ls.live), byName) {
		if err := ls.tell(l); err != nil {
			return err
		}
	}
	return nil
}

func (ls *leaseLog) tell(l *Lease) error {
	if !l.overlaps(ls.query.Since, ls.query.Until) {
		return nil
	}
	return ls.each(l)
}

// overlaps reports whether the lease was held within the span. If its grant is missing, its
// beginning is computed from its end and the time it was held.
func (l *Lease) overlaps(since, until time.Time) bool {
	begun := l.begun()
	switch {
	case !since.IsZero() && l.EndedAt != nil && !l.EndedAt.After(since):
		return false
	case !until.IsZero() && !begun.IsZero() && !begun.Before(until):
		return false
	}
	return true
}

// begun returns the beginning of the lease, or the zero time if it is unknown.
func (l *Lease) begun() time.Time {
	switch {
	case l.GrantedAt != nil:
		return *l.GrantedAt
	case l.EndedAt != nil && l.HeldMS > 0:
		return l.EndedAt.Add(-time.Duration(l.HeldMS) * time.Millisecond)
	}
	return time.Time{}
}

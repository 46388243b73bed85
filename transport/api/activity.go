package api

import "time"

// Activity is what a server did in the last hour, since its start at most.
type Activity struct {
	// StepMS is the length of a bucket.
	StepMS int64 `json:"step_ms"`
	// Buckets are the steps that have ended, oldest first. Their numbers are of all locks.
	Buckets []ActivityBucket `json:"buckets"`
	// Busiest are the 20 locks with the most grants and denials in the last hour, among those
	// that the account may read.
	Busiest []BusyLock `json:"busiest"`
	// Longest are the 20 locks whose waiters have waited longest, the longest first, among
	// those that the account may read.
	Longest []LongestWait `json:"longest"`
}

// ActivityBucket is one step. Quantiles are absent if there was nothing to measure.
type ActivityBucket struct {
	At     time.Time `json:"at"` // the end of the step
	Grants int64     `json:"grants"`
	// Waited are the grants to requests that waited in the queue.
	Waited    int64    `json:"waited"`
	WaitP50MS *float64 `json:"wait_p50_ms,omitempty"` // of those grants
	WaitP99MS *float64 `json:"wait_p99_ms,omitempty"`
	// A hand-over is the time from the end of a lease to the committed grant of its lock to a
	// waiter, with the policies that are evaluated again at its turn.
	HandoverP50MS *float64 `json:"handover_p50_ms,omitempty"`
	HandoverP99MS *float64 `json:"handover_p99_ms,omitempty"`
	CommitP50MS   *float64 `json:"commit_p50_ms,omitempty"`
	CommitP99MS   *float64 `json:"commit_p99_ms,omitempty"`
	Releases      int64    `json:"releases"`
	Renewals      int64    `json:"renewals"`
	// Denials are requests that a policy denied, or could not judge, if the audit log records
	// them.
	Denials int64 `json:"denials"`
	// Conflicts are requests that were refused because the lock was held.
	Conflicts   int64 `json:"conflicts"`
	Expirations int64 `json:"expirations"`
	Breaks      int64 `json:"breaks"`
	Undone      int64 `json:"undone"`
	Held        int64 `json:"held"`    // at the end of the step
	Waiters     int64 `json:"waiters"` // likewise
}

// BusyLock is a lock that is much used. If more than about a thousand names are in use, the
// numbers are lower bounds.
type BusyLock struct {
	Name      string   `json:"name"`
	Grants    int64    `json:"grants"`
	Waited    int64    `json:"waited"` // grants that were waited for
	WaitP99MS *float64 `json:"wait_p99_ms,omitempty"`
	Denials   int64    `json:"denials"`
}

// LongestWait is a lock that is waited for.
type LongestWait struct {
	Name         string    `json:"name"`
	WaitingSince time.Time `json:"waiting_since"`
	Waiters      int       `json:"waiters"`
	// Holder and Account are those of the present lease; empty: the lock is between two leases.
	Holder  string `json:"holder"`
	Account string `json:"account"`
}

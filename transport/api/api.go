// Package api has the types of the HTTP API: the JSON of answers, the codes of problems, the
// names of headers, and the OpenAPI document. It has no behaviour and imports nothing of
// OctoStore, so that clients can use it.
//
// Times are RFC 3339 in UTC, with milliseconds, and are for people. Programs calculate with
// durations, which are whole milliseconds in members that end in _ms. Fencing tokens are below
// 2^53, so every JSON reader keeps them exact.
//
// Later versions may add fields. A client must ignore those it does not know.
package api

import "time"

// Headers of requests and answers.
const (
	// HeaderLease carries the lease id of a renew or a release.
	HeaderLease = "Octostore-Lease"
	// HeaderKey carries the idempotency key of an acquire: 16 to 128 visible ASCII
	// characters, fresh for every attempt.
	HeaderKey = "Idempotency-Key"
	// HeaderRequestID identifies a request in answers, logs and the audit log. A client may
	// choose it: 1 to 64 characters out of A-Z, a-z, 0-9, '.', '_' and '-'. Anything
	// else is replaced by the server's own.
	HeaderRequestID = "X-Request-Id"
	// HeaderIncomplete is part of the answer to a search for the newest records that has
	// stopped early: older records may match. Its value is searched=, and how many records
	// were looked at.
	HeaderIncomplete = "Octostore-Incomplete"
)

// Grant is the answer to acquire and renew: the lock is yours until the lease ends.
//
// A client's safe end is the instant at which it sent the request, plus ServerMS,
// plus ExpiresInMS, all on the client's own clock.
type Grant struct {
	Name string `json:"name"`
	// LeaseID proves the hold to renew and release. Keep it secret.
	LeaseID string `json:"lease_id"`
	// FencingToken is greater than that of every earlier lease of this lock. Pass it to the
	// protected resource, and have that reject any token lower than the highest it has seen.
	FencingToken uint64 `json:"fencing_token"`
	Account      string `json:"account"`
	Holder       string `json:"holder"`
	TTLMS        int64  `json:"ttl_ms"`
	// ConfirmMS is present while the lease is unconfirmed: the lease ends that long after its
	// grant unless it is renewed. The first renewal gives it TTLMS, and removes ConfirmMS.
	ConfirmMS int64 `json:"confirm_ms,omitempty"`
	// ExpiresInMS is the remaining time of the lease when the answer was built.
	ExpiresInMS int64 `json:"expires_in_ms"`
	// ServerMS is the time from the arrival of the request to that instant.
	ServerMS int64 `json:"server_ms"`
	// WaitedMS is how long the request waited in the queue.
	WaitedMS int64 `json:"waited_ms"`
	// WaitMS is how long the request would have waited at most: the wait it asked for, capped
	// at the server's maximum.
	WaitMS    int64     `json:"wait_ms"`
	GrantedAt time.Time `json:"granted_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Ended is the answer to release and break: the lease has ended.
type Ended struct {
	Name         string `json:"name"`
	FencingToken uint64 `json:"fencing_token"`
	// HeldMS is the time from the grant to the end.
	HeldMS int64 `json:"held_ms"`
}

// State says whether a lock is held.
type State string

// States of a lock.
const (
	Free State = "free"
	Held State = "held"
)

// Lock is the state of a lock, for accounts that may read it. A lock that was never acquired
// is free like any other.
type Lock struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Lease is the present lease; nil if the lock is free.
	Lease *Lease `json:"lease,omitempty"`
	// WaitersTotal is the length of the queue; Waiters are its first 16 places, or the page
	// that was asked for.
	WaitersTotal int `json:"waiters_total"`
	// WaitingSince is when the longest wait in the queue began; nil: there are no waiters.
	WaitingSince *time.Time `json:"waiting_since,omitempty"`
	Waiters      []Waiter   `json:"waiters"`
	// WaitersNext is passed as waiters_after to get the next page; absent at the end of the
	// queue.
	WaitersNext int `json:"waiters_next,omitempty"`
}

// Lease is a lease as other clients see it: without its lease id.
type Lease struct {
	FencingToken uint64            `json:"fencing_token"`
	Account      string            `json:"account"`
	Holder       string            `json:"holder"`
	Reason       string            `json:"reason"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	TTLMS        int64             `json:"ttl_ms"`
	ConfirmMS    int64             `json:"confirm_ms,omitempty"` // while the lease is unconfirmed, see Grant
	ExpiresInMS  int64             `json:"expires_in_ms"`
	GrantedAt    time.Time         `json:"granted_at"`
	ExpiresAt    time.Time         `json:"expires_at"`
}

// Waiter is one place in the queue of a lock.
type Waiter struct {
	Position int `json:"position"` // from 1, in the order in which the lock would be granted
	// Priority is front or back, if policies set it; empty: normal.
	Priority string    `json:"priority,omitempty"`
	Account  string    `json:"account"`
	Holder   string    `json:"holder"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	// Metadata is absent in a listing of many locks.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Away is true while the client is not connected: its place is passed over, and ends at
	// KeptUntil unless a request with the same idempotency key takes it.
	Away      bool       `json:"away,omitempty"`
	KeptUntil *time.Time `json:"kept_until,omitempty"`
}

// List is one page of locks that are held or waited for, by name.
type List struct {
	Locks []Lock `json:"locks"`
	// Next is passed as after to get the next page; empty at the end.
	Next string `json:"next"`
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status HealthStatus `json:"status"`
	// Degraded lists what does not work although the status is OK.
	Degraded []HealthStatus `json:"degraded,omitempty"`
}

// HealthStatus says whether a server can be used.
type HealthStatus string

// States of a server. Only [OK] comes with status 200.
const (
	OK          HealthStatus = "ok"
	Draining    HealthStatus = "draining"     // the server is stopping or drained: no new acquires
	StorageFull HealthStatus = "storage_full" // the disk is full: no new acquires until there is space
	Failing     HealthStatus = "failing"      // the server can make no changes any more
	Moved       HealthStatus = "moved"        // another server is to serve, and cannot be reached
)

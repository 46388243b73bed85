package guest

import (
	"math"
	"time"

	"github.com/octostore/octostore/plugins/guest/internal/host"
)

// Values of Request.Hook and Request.Phase.
const (
	HookAcquire = "acquire"
	HookRenew   = "renew"
	HookBreak   = "break"

	PhaseRequest = "request"
	PhaseGrant   = "grant"
)

// Request is the request to decide about. Its strings are valid until the check returns.
// Absent fields are empty or 0, unless documented otherwise.
type Request struct{}

// Hook is the operation: [HookAcquire], [HookRenew] or [HookBreak].
func (Request) Hook() string { return text("hook") }

// Phase is [PhaseRequest] for a request that has just come in, [PhaseGrant] for one that has
// waited and is at the front of the queue.
func (Request) Phase() string { return text("phase") }

// LockName is the name of the lock.
func (Request) LockName() string { return text("lock.name") }

// LockHeld reports whether the lock is held now.
func (Request) LockHeld() bool { return number("lock.held") != 0 }

// LockHolder is the holder of the present lease.
func (Request) LockHolder() string { return text("lock.holder") }

// LockAccount is the account of the present lease.
func (Request) LockAccount() string { return text("lock.account") }

// LockExpiresAt is the end of the present lease; the zero Time if the lock is free.
func (Request) LockExpiresAt() time.Time { return instant("lock.expires_at_ms") }

// QueueLength is the number of waiters.
func (Request) QueueLength() int { return int(number("queue.length")) }

// Account is the account of the request.
func (Request) Account() string { return text("account") }

// Holder is the holder of the request; for renew and break, the holder of the lease.
func (Request) Holder() string { return text("holder") }

// Reason is the reason of the request; for break, the reason of the break.
func (Request) Reason() string { return text("reason") }

// RemoteAddr is the address of the client.
func (Request) RemoteAddr() string { return text("remote_addr") }

// TTL is the requested ttl; for a renew without one, that of the lease.
func (Request) TTL() time.Duration { return duration("ttl_ms") }

// Wait is the longest time that the request waits.
func (Request) Wait() time.Duration { return duration("wait_ms") }

// Waited is the time that it has waited by now.
func (Request) Waited() time.Duration { return duration("waited_ms") }

// Held is the number of locks of the account whose names begin with prefix; "" counts all. It
// is advisory, because the account may acquire or release locks meanwhile. Its price grows
// with the count, except for "".
func (Request) Held(prefix string) int {
	if prefix == "" {
		return int(number("account.held"))
	}
	return int(number(prefixed("account.held:", prefix)))
}

// Metadata is the value of a key of the request's metadata. An empty value exists.
func (Request) Metadata(name string) (value string, there bool) {
	return lookUp(prefixed("metadata.", name))
}

// Now is the time of the decision, in UTC.
func (Request) Now() time.Time { return instant("now_ms") }

// DecisionID is the id of the request, the same in both phases.
func (Request) DecisionID() string { return text("decision_id") }

// JSON is the whole request as one document. Single fields cost far less, because the server
// has to encode the document and the policy to parse it.
func (Request) JSON() string { return text("request") }

// Lookup returns the text of any key, for keys that are newer than this package.
func (Request) Lookup(key string) (value string, there bool) { return lookUp(key) }

// CapTTL lowers the ttl of the request, to no less than a second; it never raises it. It
// affects only an acquire in phase "request".
func (Request) CapTTL(most time.Duration) { host.Cap("ttl_ms", most.Milliseconds()) }

// CapWait lowers the wait of the request; it never raises it. It affects only an acquire in
// phase "request".
func (Request) CapWait(most time.Duration) { host.Cap("wait_ms", most.Milliseconds()) }

// Priority is the class in which a request waits for the lock.
type Priority int64

// Priorities. The lock goes to the front first and to the back last; within a class first
// come, first served.
const (
	Back   Priority = -1
	Normal Priority = 0
	Front  Priority = 1
)

// SetPriority sets the priority of the request while it waits. Of several calls, also by other
// policies, the rearmost counts; a policy that never calls it does not count. It affects only an
// acquire in phase "request". Any value but the three is an error of the policy.
func (Request) SetPriority(p Priority) { host.Cap("priority", int64(p)) }

// Note records a pair with the decision, in the audit log, under the policy's name. More
// than 16, or 4 KiB in all, is an error of the policy.
func (Request) Note(key, value string) { host.Note(key, value) }

func number(key string) int64 {
	n := host.GetI64(key)
	if n == math.MinInt64 {
		return 0
	}
	return n
}

func duration(key string) time.Duration { return time.Duration(number(key)) * time.Millisecond }

func instant(key string) time.Time {
	n := host.GetI64(key)
	if n == math.MinInt64 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

func text(key string) string {
	s, _ := lookUp(key)
	return s
}

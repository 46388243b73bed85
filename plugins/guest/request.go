package guest

import (
	"math"
	"time"

	"github.com/octostore/octostore/plugins/guest/internal/host"
)

// What Request.Hook and Request.Phase can be.
const (
	HookAcquire = "acquire"
	HookRenew   = "renew"
	HookBreak   = "break"

	PhaseRequest = "request"
	PhaseGrant   = "grant"
)

// Request is the request a policy is asked about. Its strings may be used until the
// check returns. What is absent is empty or 0, where nothing else is said.
type Request struct{}

// Hook is what is asked for: [HookAcquire], [HookRenew] or [HookBreak].
func (Request) Hook() string { return text("hook") }

// Phase is [PhaseRequest] for one that has just come in, [PhaseGrant] for one that has waited
// and whose turn it is.
func (Request) Phase() string { return text("phase") }

// LockName is the name of the lock.
func (Request) LockName() string { return text("lock.name") }

// LockHeld reports whether somebody holds the lock now.
func (Request) LockHeld() bool { return number("lock.held") != 0 }

// LockHolder is the holder of the present lease.
func (Request) LockHolder() string { return text("lock.holder") }

// LockAccount is the account of the present lease.
func (Request) LockAccount() string { return text("lock.account") }

// LockExpiresAt is the end of the present lease; the zero Time if the lock is free.
func (Request) LockExpiresAt() time.Time { return instant("lock.expires_at_ms") }

// QueueLength is how many wait for the lock.
func (Request) QueueLength() int { return int(number("queue.length")) }

// Account is who asks.
func (Request) Account() string { return text("account") }

// Holder is which process asks; of a renew and a break, the holder of the lease.
func (Request) Holder() string { return text("holder") }

// Reason is what for; of a break, why.
func (Request) Reason() string { return text("reason") }

// RemoteAddr is where the request came from.
func (Request) RemoteAddr() string { return text("remote_addr") }

// TTL is the ttl asked for; of a renew that names none, that of the lease.
func (Request) TTL() time.Duration { return duration("ttl_ms") }

// Wait is how long the request is ready to wait.
func (Request) Wait() time.Duration { return duration("wait_ms") }

// Waited is how long it has waited by now.
func (Request) Waited() time.Duration { return duration("waited_ms") }

// Held counts the locks that the account holds whose names begin with prefix; "" is
// all of them. It is advisory: others may take or release some meanwhile. It costs by
// what it counts, except for "".
func (Request) Held(prefix string) int {
	if prefix == "" {
		return int(number("account.held"))
	}
	return int(number(join([]string{"account.held:", prefix})))
}

// Metadata is the value of a key of the request's metadata. An empty value is there.
func (Request) Metadata(name string) (value string, there bool) {
	return lookUp(join([]string{"metadata.", name}))
}

// Now is the time of the decision, in UTC.
func (Request) Now() time.Time { return instant("now_ms") }

// DecisionID names the request; it is the same in both phases.
func (Request) DecisionID() string { return text("decision_id") }

// JSON is the whole request as one document. It has to be written and parsed whole:
// single fields cost far less.
func (Request) JSON() string { return text("request") }

// Lookup returns the text of any key, for those that are younger than this package.
func (Request) Lookup(key string) (value string, there bool) { return lookUp(key) }

// CapTTL lowers the ttl of the request, to not less than a second; it never raises it.
// Only an acquire in phase "request" is changed.
func (Request) CapTTL(most time.Duration) { host.Cap("ttl_ms", most.Milliseconds()) }

// CapWait lowers how long the request waits; it never raises it. Only an acquire in
// phase "request" is changed.
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

// SetPriority says with which priority the request is to wait. Of several, also of other
// policies, the rearmost counts; a policy that never calls it has no say. It matters only
// while the request waits. Only an acquire in phase "request" is changed. Another value
// than the three is an error of the policy.
func (Request) SetPriority(p Priority) { host.Cap("priority", int64(p)) }

// Note keeps a pair with the decision, in the journal, under the policy's name. More
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

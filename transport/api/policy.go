package api

import "time"

// PolicyList is the answer of /v1/policies: the policies of the manifest.
type PolicyList struct {
	// LoadedAt is when the present policies were loaded; nil if none are configured.
	LoadedAt *time.Time `json:"loaded_at,omitempty"`
	// FailedReloads is how often a reload failed since the start of the server, so that the
	// policies before stayed.
	FailedReloads uint64 `json:"failed_reloads"`
	// LastFailure is the newest of them; nil if there was none, or a reload has succeeded since.
	LastFailure *ReloadFailure `json:"last_failure,omitempty"`
	// Engine is what runs them: compiler or interpreter; empty if none are configured.
	Engine   string   `json:"engine,omitempty"`
	Policies []Policy `json:"policies"`
}

// Policy is a policy of the manifest, with its statistics since it was loaded. One whose mode
// is off has no statistics.
type Policy struct {
	Name    string   `json:"name"`
	Module  string   `json:"module"`
	Digest  string   `json:"digest,omitempty"` // SHA-256 of the module, in hex; empty: not loaded
	Match   []string `json:"match"`
	Hooks   []string `json:"hooks"`
	Mode    string   `json:"mode"`
	OnError string   `json:"on_error"`
	// Fuel is the limit of a call; FuelP50 and FuelP99 are upper bounds of the median and the
	// 99th percentile of the calls, within a factor of two.
	Fuel    int64  `json:"fuel"`
	Calls   uint64 `json:"calls"`
	Denials uint64 `json:"denials"`
	// Errors counts the requests it could not answer, including those without a call, and the
	// events it failed on.
	Errors  uint64 `json:"errors"`
	FuelP50 int64  `json:"fuel_p50"`
	FuelP99 int64  `json:"fuel_p99"`
	// FuelUsed is the fuel of all calls together.
	FuelUsed uint64 `json:"fuel_used"`
	PolicyHealth
	// Observer is its progress in the audit log; nil if it does not observe.
	Observer *Observer `json:"observer,omitempty"`
}

// PolicyHealth is how a policy performs, since it was loaded.
type PolicyHealth struct {
	// BreakerOpen means that the policy keeps failing: on_error decides without a call, except
	// for occasional probes.
	BreakerOpen   bool   `json:"breaker_open"`
	BreakerOpened uint64 `json:"breaker_opened"` // times
	// Instances is the present number of instances, MemoryBytes their memory; Starts counts
	// the instances that were created or failed to start.
	Instances   int    `json:"instances"`
	MemoryBytes int64  `json:"memory_bytes"`
	Starts      uint64 `json:"starts"`
	// Waits counts the calls that waited for a free slot to run in; WaitedNS is their total
	// wait.
	Waits    uint64 `json:"waits"`
	WaitedNS int64  `json:"waited_ns"`
	// LinesDropped counts the dropped lines of its log: those above 100 per second or 16 per
	// call.
	LinesDropped uint64        `json:"log_lines_dropped"`
	Latency      PolicyLatency `json:"latency"`
}

// PolicyLatency is how long calls took. One call in 16 is timed.
type PolicyLatency struct {
	Calls   uint64          `json:"calls"` // that were timed
	TotalNS int64           `json:"total_ns"`
	Buckets []LatencyBucket `json:"buckets"` // in ascending order
}

// LatencyBucket is how many of the timed calls took at most so long.
type LatencyBucket struct {
	AtMostNS int64  `json:"at_most_ns"`
	Calls    uint64 `json:"calls"`
}

// Observer is the progress of a policy that observes.
type Observer struct {
	After string `json:"after"` // cursor: everything up to it is done
	// LagMS is the age of the next event; 0 if it has seen all.
	LagMS int64 `json:"lag_ms"`
	// Parked counts the events it failed on, over restarts and reloads.
	Parked uint64 `json:"parked"`
	// Gaps counts how often, since the start of the server, events were pruned before it saw
	// them.
	Gaps uint64 `json:"gaps"`
}

// ReloadFailure is a reload of the policies that failed.
type ReloadFailure struct {
	At      time.Time `json:"at"`
	Account string    `json:"account,omitempty"` // that asked for it; empty: a signal or a changed file
	Reason  string    `json:"reason,omitempty"`  // that the request gave
	Error   string    `json:"error"`
}

// Reloaded is the answer of /v1/policies/reload.
type Reloaded struct {
	Changes string `json:"changes"` // in words
}

// Explanation is the answer of /v1/policies/explain: what the policies would decide on a
// request that is not made.
type Explanation struct {
	Name    string     `json:"name"`
	Account string     `json:"account"`
	Hook    string     `json:"hook"`         // acquire, renew or break
	At      *time.Time `json:"at,omitempty"` // the time to explain for; nil: now
	// Verdict is the decision of all policies together: allow, deny or error. By is the policy
	// that the answer would name, Reason the reason of a denial.
	Verdict string `json:"verdict"`
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Priority is that of the request in the queue: front, normal or back; empty: no policy
	// sets it, so normal. Policies in shadow mode do not count.
	Priority string      `json:"priority,omitempty"`
	Policies []Explained `json:"policies"`
}

// Explained is the decision that one policy would make.
type Explained struct {
	Policy  string `json:"policy"`
	Digest  string `json:"digest,omitempty"` // SHA-256 of the module, in hex; empty: not loaded
	Mode    string `json:"mode"`
	OnError string `json:"on_error"`
	Asked   bool   `json:"asked"`
	Why     string `json:"why"` // why it is evaluated, or not, in words

	*Said // nil if it is not evaluated
}

// Said is the answer of a policy.
type Said struct {
	Verdict    string            `json:"verdict"`          // allow, deny or error
	Reason     string            `json:"reason,omitempty"` // of a denial; of an error, its kind
	Error      string            `json:"error,omitempty"`
	RetryAfter int64             `json:"retry_after_ms,omitempty"`
	TTL        int64             `json:"ttl_ms"` // after its cap
	Wait       int64             `json:"wait_ms"`
	Priority   string            `json:"priority,omitempty"` // front, normal or back; empty: not set
	Notes      map[string]string `json:"notes,omitempty"`
	Logs       []string          `json:"logs,omitempty"`
	Fuel       int64             `json:"fuel"`
}

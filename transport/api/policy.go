package api

import "time"

// PolicyList is the answer of /v1/policies: the policies of the manifest.
type PolicyList struct {
	// LoadedAt is when those that rule were loaded; nil if there are none configured.
	LoadedAt *time.Time `json:"loaded_at,omitempty"`
	// FailedReloads is how often since the start of the server policies could not be loaded
	// again, so that those before went on to rule.
	FailedReloads uint64 `json:"failed_reloads"`
	// Engine is what runs them: compiler or interpreter; empty if none are configured.
	Engine   string   `json:"engine,omitempty"`
	Policies []Policy `json:"policies"`
}

// Policy is a policy of the manifest, and what it has done since it was loaded. Of one
// whose mode is off it has the manifest's entry only.
type Policy struct {
	Name    string   `json:"name"`
	Module  string   `json:"module"`
	Digest  string   `json:"digest,omitempty"` // SHA-256 of the module, in hex; empty: not loaded
	Match   []string `json:"match"`
	Hooks   []string `json:"hooks"`
	Mode    string   `json:"mode"`
	OnError string   `json:"on_error"`
	// Fuel is what a call may use; FuelP50 and FuelP99 are upper bounds of what so many
	// of the calls used, within a factor of two.
	Fuel    int64  `json:"fuel"`
	Calls   uint64 `json:"calls"`
	Denials uint64 `json:"denials"`
	// Errors is how many requests it could not answer, also those it was not called with,
	// and how many events it failed on.
	Errors  uint64 `json:"errors"`
	FuelP50 int64  `json:"fuel_p50"`
	FuelP99 int64  `json:"fuel_p99"`
	// FuelUsed is what all calls used together.
	FuelUsed uint64 `json:"fuel_used"`
	PolicyHealth
	// Observer is how it is getting on with the events of the journal; nil if it is given
	// none.
	Observer *Observer `json:"observer,omitempty"`
}

// PolicyHealth is how a policy runs, since it was loaded.
type PolicyHealth struct {
	// BreakerOpen means that the policy keeps failing: requests are answered by on_error
	// without a call, but for one now and then that probes whether it answers again.
	BreakerOpen   bool   `json:"breaker_open"`
	BreakerOpened uint64 `json:"breaker_opened"` // times
	// Instances is how many there are now, MemoryBytes what these have together; Starts is
	// how many were made, or failed to start.
	Instances   int    `json:"instances"`
	MemoryBytes int64  `json:"memory_bytes"`
	Starts      uint64 `json:"starts"`
	// Waits is how many calls waited, since no more guests may run at a time; WaitedNS is
	// how long they did so together.
	Waits    uint64 `json:"waits"`
	WaitedNS int64  `json:"waited_ns"`
	// LinesDropped is how many lines of its log were dropped: those beyond 100 a second or
	// 16 a call.
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

// Observer is how far a policy that observes has come.
type Observer struct {
	After string `json:"after"` // cursor: everything up to it is done
	// LagMS is the age of the event it is at; 0 if it has seen everything.
	LagMS int64 `json:"lag_ms"`
	// Parked is how many events it failed on, over restarts and reloads.
	Parked uint64 `json:"parked"`
	// Gaps is how often, since the start of the server, events were pruned before it saw
	// them.
	Gaps uint64 `json:"gaps"`
}

// Reloaded is the answer of /v1/policies/reload.
type Reloaded struct {
	Changes string `json:"changes"` // in words
}

// Explanation is the answer of /v1/policies/explain: what the policies would say to a
// request, of which nothing comes.
type Explanation struct {
	Name    string     `json:"name"`
	Account string     `json:"account"`
	Hook    string     `json:"hook"`         // acquire, renew or break
	At      *time.Time `json:"at,omitempty"` // the time that was asked about; nil: now
	// Verdict is what all of them together would say: allow, deny or error. By names
	// the policy the caller would be told of, Reason is what a denial says.
	Verdict string `json:"verdict"`
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Priority is what the request would wait with: front, normal or back; empty: no policy
	// says, so normal. Policies in shadow mode do not count.
	Priority string      `json:"priority,omitempty"`
	Policies []Explained `json:"policies"`
}

// Explained is what one policy would say.
type Explained struct {
	Policy  string `json:"policy"`
	Digest  string `json:"digest,omitempty"` // SHA-256 of the module, in hex; empty: not loaded
	Mode    string `json:"mode"`
	OnError string `json:"on_error"`
	Asked   bool   `json:"asked"`
	Why     string `json:"why"` // it is asked, or not, in words

	*Said // nil if it is not asked
}

// Said is what a policy answered.
type Said struct {
	Verdict    string            `json:"verdict"`          // allow, deny or error
	Reason     string            `json:"reason,omitempty"` // of a denial; of an error, its kind
	Error      string            `json:"error,omitempty"`
	RetryAfter int64             `json:"retry_after_ms,omitempty"`
	TTL        int64             `json:"ttl_ms"` // what its cap leaves of what was asked
	Wait       int64             `json:"wait_ms"`
	Priority   string            `json:"priority,omitempty"` // front, normal or back; empty: it does not say
	Notes      map[string]string `json:"notes,omitempty"`
	Logs       []string          `json:"logs,omitempty"`
	Fuel       int64             `json:"fuel"`
}

package api

import "time"

// PolicyList is the answer of /v1/policies: what is asked before a lock is given, and
// what observes.
type PolicyList struct {
	// LoadedAt is when those that rule were loaded; nil if there are none configured.
	LoadedAt *time.Time `json:"loaded_at,omitempty"`
	// FailedReloads is how often since the start of the server policies could not be loaded
	// again, so that those before went on to rule.
	FailedReloads uint64   `json:"failed_reloads"`
	Policies      []Policy `json:"policies"`
}

// Policy is a policy that rules, and what it has done since it was loaded.
type Policy struct {
	Name    string   `json:"name"`
	Module  string   `json:"module"`
	Digest  string   `json:"digest"` // SHA-256 of the module, in hex
	Match   []string `json:"match"`
	Hooks   []string `json:"hooks"`
	Mode    string   `json:"mode"`
	OnError string   `json:"on_error"`
	// Fuel is what a call may use; FuelP50 and FuelP99 are upper bounds of what so many
	// of the calls used, within a factor of two.
	Fuel    int64  `json:"fuel"`
	Calls   uint64 `json:"calls"`
	Denials uint64 `json:"denials"`
	Errors  uint64 `json:"errors"`
	FuelP50 int64  `json:"fuel_p50"`
	FuelP99 int64  `json:"fuel_p99"`
	// FuelUsed is what all calls used together.
	FuelUsed uint64 `json:"fuel_used"`
	// Observer is how it is getting on with the events of the journal; nil if it is given
	// none.
	Observer *Observer `json:"observer,omitempty"`
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

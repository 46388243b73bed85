package api

// PolicyList is the answer of /v1/policies: what is asked before a lock is given.
type PolicyList struct {
	Policies []Policy `json:"policies"`
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
}

// Reloaded is the answer of /v1/policies/reload.
type Reloaded struct {
	Changes string `json:"changes"` // in words
}

package api

// DeviceLogin is the answer of POST /v1/login/device: a login that waits for somebody to
// type in a code.
type DeviceLogin struct {
	// DeviceID is what to poll with. Keep it secret: whoever has it gets the token.
	DeviceID string `json:"device_id"`
	// UserCode is to be typed in at VerificationURI.
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	// IntervalMS is how long to wait before each poll.
	IntervalMS int64 `json:"interval_ms"`
	// ExpiresInMS is how long there is for all of it.
	ExpiresInMS int64 `json:"expires_in_ms"`
}

// LoginStatus says how far a login is.
type LoginStatus string

// How far a login can be. A login that failed is a problem instead.
const (
	LoginPending  LoginStatus = "pending"  // nobody has typed in the code yet
	LoginComplete LoginStatus = "complete" // here is the token
)

// Login is the answer of POST /v1/login/device/poll.
type Login struct {
	Status LoginStatus `json:"status"`
	// IntervalMS is how long to wait before the next poll; absent once complete.
	IntervalMS int64 `json:"interval_ms,omitempty"`
	// Token is there once the login is complete. Its secret is shown this once.
	Token *NewToken `json:"token,omitempty"`
}

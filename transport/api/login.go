package api

// DeviceLogin is the answer of POST /v1/login/device: a login that waits for a person to enter
// a code.
type DeviceLogin struct {
	// DeviceID identifies the login when polling. Keep it secret: it is worth the token.
	DeviceID string `json:"device_id"`
	// UserCode is to be entered at VerificationURI.
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	// IntervalMS is how long to wait before each poll.
	IntervalMS int64 `json:"interval_ms"`
	// ExpiresInMS is how long the login may take.
	ExpiresInMS int64 `json:"expires_in_ms"`
}

// LoginStatus is the state of a login.
type LoginStatus string

// States of a login. A login that failed is a problem instead.
const (
	LoginPending  LoginStatus = "pending"  // the code has not been entered yet
	LoginComplete LoginStatus = "complete" // the token was created
)

// Login is the answer of POST /v1/login/device/poll.
type Login struct {
	Status LoginStatus `json:"status"`
	// IntervalMS is how long to wait before the next poll; absent once complete.
	IntervalMS int64 `json:"interval_ms,omitempty"`
	// Token is present once the login is complete. Its secret is shown only this once.
	Token *NewToken `json:"token,omitempty"`
}

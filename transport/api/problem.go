package api

// Problem is an answer that is not a success: an RFC 9457 problem document, sent as
// application/problem+json. Code is for programs, Detail for people.
type Problem struct {
	// Type is "urn:octostore:problem:" and the code.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   Code   `json:"code"`
	// RequestID identifies the request in the server's log and audit log.
	RequestID string `json:"request_id"`
	// RetryAfterMS is a hint when to retry; zero or absent: no hint. With code held it is a
	// second for each waiter before you, at most the remaining time of the lease, and at least
	// 50.
	RetryAfterMS int64 `json:"retry_after_ms,omitempty"`

	*InvalidProblem // code invalid
	*HeldProblem    // codes held and superseded
	*PolicyProblem  // codes policy_denied and policy_error
	*ExpiredProblem // code cursor_expired
}

// InvalidProblem says which part of the request is wrong, and what would be right.
type InvalidProblem struct {
	// Field is a parameter as the client spells it ("ttl", "meta.ticket"), a header, or
	// one of "name", "query" and "body".
	Field   string `json:"field"`
	Problem string `json:"problem"`
	Want    string `json:"want"`
}

// HeldProblem names the holder of the lock, and the state of its queue.
type HeldProblem struct {
	// Lease is the present lease; nil if the lock is promised to a waiter, or the account may
	// not read it.
	Lease *Lease `json:"lease,omitempty"`
	// Position is the place this request had in the queue, from 1; 0: it did not wait.
	Position int `json:"position"`
	// Waiters is the length of the queue.
	Waiters int `json:"waiters"`
	// WaitedMS is how long this request waited.
	WaitedMS int64 `json:"waited_ms"`
}

// PolicyProblem names the policy that denied, or could not answer.
type PolicyProblem struct {
	Policy string `json:"policy"`
	Reason string `json:"reason,omitempty"` // code policy_denied
}

// ExpiredProblem says where the rest of the audit log begins.
type ExpiredProblem struct {
	// Oldest is the cursor before the oldest record that is left.
	Oldest string `json:"oldest"`
}

// Code is the stable name of a kind of problem.
type Code string

// Codes. Each always comes with the same HTTP status.
const (
	CodeInvalid          Code = "invalid"            // 400: something in the request is wrong
	CodeUnauthenticated  Code = "unauthenticated"    // 401: no token, or not a valid one
	CodeForbidden        Code = "forbidden"          // 403: the account, or the origin of the request, may not do this
	CodePolicyDenied     Code = "policy_denied"      // 403: a policy denied
	CodeLoginRefused     Code = "login_refused"      // 403: the login was denied
	CodeNotFound         Code = "not_found"          // 404: there is nothing at this path
	CodeMethodNotAllowed Code = "method_not_allowed" // 405: not with this method
	CodeHeld             Code = "held"               // 409: another client holds the lock, and the wait is over
	CodeNotHeld          Code = "not_held"           // 409: the lease has ended, or is not yours
	CodeSuperseded       Code = "superseded"         // 409: a newer request with the same key took this one's place
	CodeAttemptOver      Code = "attempt_over"       // 409: the lease of this key has ended
	CodeLoginExpired     Code = "login_expired"      // 410: this login took too long, or does not exist
	CodeCursorExpired    Code = "cursor_expired"     // 410: the records after this cursor were pruned
	CodeTooLarge         Code = "too_large"          // 413: the body is too large
	CodeKeyMismatch      Code = "key_mismatch"       // 422: the key was used with other parameters
	CodeQueueFull        Code = "queue_full"         // 429: too many requests wait
	CodeTooManyReaders   Code = "too_many_readers"   // 429: too many clients watch or export
	CodeQuota            Code = "quota"              // 429: the account holds and waits for too many locks
	CodeRateLimited      Code = "rate_limited"       // 429: too many requests, or too many connections
	CodeInternal         Code = "internal"           // 500: the server failed; its log has the details
	CodePolicyError      Code = "policy_error"       // 503: a policy could not answer
	CodeLoginUnavailable Code = "login_unavailable"  // 503: GitHub does not answer, or too many logins are in progress
	CodeDraining         Code = "draining"           // 503: the server is stopping or drained
	CodeMoved            Code = "moved"              // 503: another server has the lock now
	CodeTooLate          Code = "too_late"           // 503: granted, but the lease ended before the answer could be delivered
	CodeOutcomeUnknown   Code = "outcome_unknown"    // 503: the server cannot say whether it was done
	CodeStorageFull      Code = "storage_full"       // 507: no space left to record the change
)

// Codes returns every code, in the order of their status.
func Codes() []Code {
	return []Code{
		CodeInvalid,
		CodeUnauthenticated,
		CodeForbidden,
		CodePolicyDenied,
		CodeLoginRefused,
		CodeNotFound,
		CodeMethodNotAllowed,
		CodeHeld,
		CodeNotHeld,
		CodeSuperseded,
		CodeAttemptOver,
		CodeLoginExpired,
		CodeCursorExpired,
		CodeTooLarge,
		CodeKeyMismatch,
		CodeQueueFull,
		CodeTooManyReaders,
		CodeQuota,
		CodeRateLimited,
		CodeInternal,
		CodePolicyError,
		CodeLoginUnavailable,
		CodeDraining,
		CodeMoved,
		CodeTooLate,
		CodeOutcomeUnknown,
		CodeStorageFull,
	}
}

package lock

import "time"

// Kind says what happened. The words are part of the audit format.
type Kind string

// Kinds of events. The first six are the changes: together they say at every
// instant who holds what. The others are decisions and notices; they change no
// lease.
const (
	Granted  Kind = "granted"  // a lease began; its token is the event's Seq
	Renewed  Kind = "renewed"  // its end moved, or was confirmed
	Released Kind = "released" // its holder gave it back
	Expired  Kind = "expired"  // its deadline passed
	Broken   Kind = "broken"   // somebody with the right to ended it
	Undone   Kind = "undone"   // its grant could not be delivered

	Denied      Kind = "denied"       // a policy said no
	PolicyError Kind = "policy_error" // a policy could not answer
	Conflict    Kind = "conflict"     // refused because it is held
	Abandoned   Kind = "abandoned"    // a waiter left

	Started    Kind = "started"    // a server began to serve this journal
	Stopped    Kind = "stopped"    // it stopped in good order
	Checkpoint Kind = "checkpoint" // the journal signs what it has recorded so far
	Pruned     Kind = "pruned"     // the oldest events are about to be forgotten

	PoliciesLoaded Kind = "policies_loaded" // from now on other policies rule
	TokenCreated   Kind = "token_created"   // a token was made
	TokenRevoked   Kind = "token_revoked"   // a token ended, or will soon
	AuthFailed     Kind = "auth_failed"     // requests were not let in
	ObserverParked Kind = "observer_parked" // an observer failed on an event and goes on with the next
	ObserverGap    Kind = "observer_gap"    // events were forgotten that an observer had not seen
)

// Kinds returns every kind there is.
func Kinds() []Kind {
	return []Kind{
		Granted, Renewed, Released, Expired, Broken, Undone,
		Denied, PolicyError, Conflict, Abandoned,
		Started, Stopped, Checkpoint, Pruned, PoliciesLoaded, ObserverParked, ObserverGap, TokenCreated, TokenRevoked, AuthFailed,
	}
}

// Ends reports whether an event of this kind ends the lease it carries.
func (k Kind) Ends() bool {
	return k == Released || k == Expired || k == Broken || k == Undone
}

// Event is one thing that happened: at once the change and its audit record.
// A [Batch] that carries it lends it to the store until Commit returns.
type Event struct {
	Seq  Seq
	Time time.Time // the table's now; only its wall clock is recorded
	Kind Kind
	// Lease is the lease as it then is, or as it was when it ended. For a denial it
	// says only who asked for what. It is nil for events that are not about a lock.
	Lease *Lease
	// Actor is who caused it. The zero Actor is time itself, or the server.
	Actor     Actor
	RequestID string
	TraceID   string        // W3C trace id of the request, 32 hexadecimal digits, or empty
	Cause     string        // why, in words: a break's reason, a denial's
	Waited    time.Duration // granted, abandoned: how long the request waited in the queue
	Priority  Priority      // granted, abandoned: the class it waited in; Normal if it did not
	Notes     []Note        // what policies had to say
	Verdicts  []Verdict     // what each policy decided
	Cut       Head          // pruned: the newest of the events that are forgotten
}

// Actor is who sent a request, as far as the server knows.
type Actor struct {
	Account    string
	TokenID    string // id of the API token, never the token
	RemoteAddr string
	UserAgent  string
}

// Opinion is what all policies together said about a request.
type Opinion struct {
	Notes    []Note
	Verdicts []Verdict
}

// Verdict is what one policy decided, for the record.
type Verdict struct {
	Policy  string
	Digest  string // of its module: the first 16 digits of the SHA-256
	At      string // when it was asked: request, grant, renew or break
	Mode    string // enforce or shadow
	Verdict string // allow, deny or error
	Reason  string // of a denial, what the caller reads; of an error, its kind
	Fuel    int64  // used
	// Priority is what the policy would have the request wait with: front, normal or
	// back; empty: it did not say. The event's own Priority is what came of it.
	Priority string
}

// Note is something a policy wanted kept beside the decision.
type Note struct {
	Policy, Key, Value string
}

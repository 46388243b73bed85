package lock

import "time"

// Kind is the type of an event. The words are part of the audit format.
type Kind string

// Kinds of events. The first six change leases: from them alone the holder of every lock
// follows, at every instant. The others are decisions and notices; they change no lease.
const (
	Granted  Kind = "granted"  // a lease began; its token is the event's Seq
	Renewed  Kind = "renewed"  // its end moved, or was confirmed
	Released Kind = "released" // its holder gave it back
	Expired  Kind = "expired"  // its deadline passed
	Broken   Kind = "broken"   // it was ended without proof of the hold
	Undone   Kind = "undone"   // its grant could not be delivered

	Denied      Kind = "denied"       // a policy said no
	PolicyError Kind = "policy_error" // a policy could not answer
	Conflict    Kind = "conflict"     // refused because it is held
	Abandoned   Kind = "abandoned"    // a waiter left

	Started    Kind = "started"    // a server began to serve this journal
	Stopped    Kind = "stopped"    // it stopped in good order
	Drained    Kind = "drained"    // an administrator had it refuse acquires until it is restarted
	Checkpoint Kind = "checkpoint" // the journal signs what it has recorded so far
	Pruned     Kind = "pruned"     // the oldest events are about to be forgotten

	PoliciesLoaded Kind = "policies_loaded" // another policy set applies from now on
	ReloadFailed   Kind = "reload_failed"   // policies were not loaded: those before stay
	TokenCreated   Kind = "token_created"   // a token was made
	TokenRevoked   Kind = "token_revoked"   // a token ended, or will soon
	TokensPruned   Kind = "tokens_pruned"   // tokens that ended long ago are about to be forgotten
	AuthFailed     Kind = "auth_failed"     // requests failed authentication
	ObserverParked Kind = "observer_parked" // an observer failed on an event and goes on with the next
	ObserverGap    Kind = "observer_gap"    // events were pruned that an observer had not seen
	BackedUp       Kind = "backed_up"       // a copy of the database was made for an account
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		Granted, Renewed, Released, Expired, Broken, Undone,
		Denied, PolicyError, Conflict, Abandoned,
		Started, Stopped, Drained, Checkpoint, Pruned, PoliciesLoaded, ReloadFailed, ObserverParked, ObserverGap,
		TokenCreated, TokenRevoked, TokensPruned, AuthFailed,
		BackedUp,
	}
}

// Ends reports whether an event of this kind ends the lease it carries.
func (k Kind) Ends() bool {
	return k == Released || k == Expired || k == Broken || k == Undone
}

// Event is one change or notice, and its audit record in one. A [Batch] lends its events
// to the store until Commit returns.
type Event struct {
	Seq  Seq
	Time time.Time // the table's now; only its wall clock is recorded
	Kind Kind
	// Lease is the lease after the event, or at its end. For a denial it holds only the
	// fields of the request. It is nil for events that are not about a lock.
	Lease *Lease
	// Actor caused the event. The zero Actor is the server or an expiry.
	Actor     Actor
	RequestID string
	TraceID   string        // W3C trace id of the request, 32 hexadecimal digits, or empty
	Cause     string        // the reason of a break or a denial
	Reason    string        // what an administrator gave, for events that are not about a lock
	Waited    time.Duration // granted, abandoned: how long the request waited in the queue
	Margin    float64       // renewed: the share of the lease that was left, 0 to 1; not recorded
	Priority  Priority      // granted, abandoned: the class it waited in; Normal if it did not
	Notes     []Note        // from policies
	Verdicts  []Verdict     // of the policies that did more than allow
	// PolicySet is the id of the policy set that was asked when the request came in,
	// SetAtGrant the id of the set that was asked again at its turn. Empty: no policy was
	// asked in that phase. A policy of the set that covers the request and has no verdict
	// for the phase allowed it.
	PolicySet, SetAtGrant string
	Loaded                *PolicySet // policies_loaded: the new set; stopped: the last set
	Replaced              *PolicySet // policies_loaded: the previous set, if it was another one
	Cut                   Head       // pruned: the newest of the pruned events
}

// Actor is who sent a request, as far as the server knows.
type Actor struct {
	Account    string
	TokenID    string // id of the API token, never the token
	RemoteAddr string
	UserAgent  string
	// Groups are the memberships of the account as its login reported them, each followed by
	// a line feed. A single line feed: none; empty: unknown. They are for policies and are
	// not recorded.
	Groups string
}

// Opinion is the result of all policies for a request.
type Opinion struct {
	Notes    []Note
	Verdicts []Verdict // of the policies that did more than allow
	// PolicySet and SetAtGrant are as in an [Event].
	PolicySet, SetAtGrant string
}

// Verdict is the decision of one policy, for the audit log.
type Verdict struct {
	Policy  string
	Digest  string // of its module: the first 16 digits of the SHA-256
	At      string // when it was asked: request, grant, renew or break
	Mode    string // enforce or shadow
	Verdict string // allow, deny or error
	Reason  string // deny: the text for the caller; error: its kind
	Fuel    int64  // used
	// Priority is the queue priority the policy asks for: front, normal or back; empty:
	// none. The event's own Priority is the result of all policies.
	Priority string

	// Caps on an acquire in phase request. In shadow mode they are only recorded.
	CapTTL  time.Duration // the allowed ttl, if lower than requested; else 0
	CapWait time.Duration // the allowed wait, if LowersWait is set

	LowersWait bool
}

// Note is a key and a value that a policy adds to the record of a decision.
type Note struct {
	Policy, Key, Value string
}

// PolicySet describes for the audit log the policies that judge requests together.
type PolicySet struct {
	// ID is 16 hexadecimal digits: the same for two sets only if they have the same policies,
	// modules and settings.
	ID       string
	Policies []LoadedPolicy
}

// LoadedPolicy is a policy of a [PolicySet].
type LoadedPolicy struct {
	Name   string
	Digest string   // SHA-256 of its module, in hex
	Mode   string   // enforce or shadow
	Hooks  []string // the hooks it implements
	Match  []string // name patterns it applies to; nil: too many to record
}

// Hash is the SHA-256 of a journal line.
type Hash [32]byte

// Head is the newest event of a journal: its sequence number and the hash of its
// line. The zero Head is that of an empty journal.
type Head struct {
	Seq  Seq
	Hash Hash
}

// Segment is one sealed batch in its stored form: lines of canonical JSON, one per event,
// each with a newline at its end. Bytes is immutable.
type Segment struct {
	First, Last Seq
	Count       int       // events
	Time        time.Time // of the last event
	Bytes       []byte
}

// Batch is the unit of a commit. A table fills in Prev.Seq, Events and Rows; the journal
// seals the batch, which fills in the rest, before the store gets it. Events and Rows are
// reused after Commit returns, Segment is not.
type Batch struct {
	Prev    Head    // the head before the batch
	Events  []Event // at least one, Seq growing
	Rows    []Row   // the final row of every name whose lease changed, each name once
	Next    Head    // the head once this batch is committed
	Segment Segment
}

// Row is a lease in its stored form.
type Row struct {
	Name    Name
	Lease   *Lease // nil: the name is free, delete its row
	Attempt Attempt
}

// Loaded is a lease that a store returns at the start.
type Loaded struct {
	// Lease has no meaningful ExpiresAt; the table computes it from Remaining.
	Lease   Lease
	Attempt Attempt
	// Remaining is the time left, never less than its holder was promised; zero or less
	// means that the lease has lapsed. An unconfirmed lease has at most its ConfirmWithin
	// left.
	Remaining time.Duration
}

// Snapshot is the state of a store at its start.
type Snapshot struct {
	Head   Head
	Secret []byte // 32 random bytes, made once per store; lease ids are derived from it
	Leases []Loaded
	// Soft limits of a batch; zero means the table's own (256 events, 256 KiB). The events
	// of one command are never split, so a batch may exceed them slightly.
	MaxEvents, MaxBytes int
}

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
	Broken   Kind = "broken"   // it was ended without proof of the hold
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
	Verdicts  []Verdict     // of the policies that did more than allow
	// PolicySet is the id of the set of policies that was asked when the request came in,
	// SetAtGrant that of the set that was asked again when its turn came. Empty: no policy
	// was asked then. A policy of the set that covers the request and has no verdict for
	// that phase allowed it in silence.
	PolicySet, SetAtGrant string
	Loaded                *PolicySet // policies_loaded, stopped: what rules from now on, or ruled until now
	Replaced              *PolicySet // policies_loaded: what ruled until now, where that was another set
	Cut                   Head       // pruned: the newest of the events that are forgotten
}

// Actor is who sent a request, as far as the server knows.
type Actor struct {
	Account    string
	TokenID    string // id of the API token, never the token
	RemoteAddr string
	UserAgent  string
	// Groups are what a login says the account is a member of, each followed by a line feed;
	// a single line feed: of nothing; empty: it is not known. It is for policies and not recorded.
	Groups string
}

// Opinion is what all policies together said about a request.
type Opinion struct {
	Notes    []Note
	Verdicts []Verdict // of the policies that did more than allow
	// PolicySet and SetAtGrant are as in an [Event].
	PolicySet, SetAtGrant string
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

	// What its caps lowered, of an acquire in phase request. In shadow mode they are only
	// recorded.
	CapTTL  time.Duration // the ttl it allows, where less than was asked for; 0: it did not lower it
	CapWait time.Duration // the wait it allows, where LowersWait is set

	LowersWait bool
}

// Note is something a policy wanted kept beside the decision.
type Note struct {
	Policy, Key, Value string
}

// PolicySet says for the record which policies judge requests together.
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
	Hooks  []string // what it is asked about
	Match  []string // patterns of the names it is asked about; nil: too many to be recorded
}

// Hash is the SHA-256 of a journal line.
type Hash [32]byte

// Head is the newest event of a journal: its sequence number and the hash of its
// line. The zero Head is that of an empty journal.
type Head struct {
	Seq  Seq
	Hash Hash
}

// Segment is one sealed batch as it is stored: lines of canonical JSON, one per
// event, each ended by a newline. Bytes is immutable.
type Segment struct {
	First, Last Seq
	Count       int       // events
	Time        time.Time // of the last event
	Bytes       []byte
}

// Batch is what one commit makes durable. Its Events and Rows are used again after
// Commit has returned; its Segment is not. A table fills in Prev.Seq, Events and
// Rows; the journal seals it, which fills in the rest, before it reaches a store
// that keeps it.
type Batch struct {
	Prev    Head    // what the batch builds on
	Events  []Event // at least one, Seq growing
	Rows    []Row   // the final row of every name whose lease changed, each name once
	Next    Head    // the head once this batch is committed
	Segment Segment
}

// Row is a lease as a store keeps it.
type Row struct {
	Name    Name
	Lease   *Lease // nil: the name is free, forget its row
	Attempt Attempt
}

// Loaded is a lease as a store gives it back.
type Loaded struct {
	// Lease has no meaningful ExpiresAt; the table computes it from Remaining.
	Lease   Lease
	Attempt Attempt
	// Remaining is how long the lease has yet to run, never less than what its
	// holder was promised; zero or less means it has lapsed. An unconfirmed lease has at
	// most its ConfirmWithin left.
	Remaining time.Duration
}

// Snapshot is the state of a store at its start.
type Snapshot struct {
	Head   Head
	Secret []byte // 32 random bytes, made once per store; lease ids are derived from it
	Leases []Loaded
	// Limits of a batch; zero means the table's own (256 events, 256 KiB). They
	// are aimed at: one command may go over by the few events it causes.
	MaxEvents, MaxBytes int
}

// Package abi has the names and numbers that OctoStore and a policy, a WebAssembly
// module, say to each other: version 1 of their interface. README.md beside it is the
// specification, from which a policy can be written in any language;
// request.schema.json describes a request as one document.
//
// Names and numbers are never changed and never taken away. New keys may come: to a
// policy that does not ask for them nothing changes.
package abi

import (
	_ "embed"
	"math"
)

// Module is the module name of everything a policy imports from OctoStore.
const Module = "octostore_v1"

// What a policy exports. It needs [ExportMemory], and [ExportCheck] or
// [ExportObserve] or both.
const (
	ExportMemory     = "memory"
	ExportCheck      = "check"       // () -> i32: Allow or Deny
	ExportConfigure  = "configure"   // () -> i32: 0, or the load is refused
	ExportObserve    = "observe"     // () -> i32: 0, or the event is given again
	ExportInitialize = "_initialize" // (): called once, before everything else
)

// Imports from [Module].
const (
	ImportGet          = "get"            // (key, key_len, buf, cap i32) -> i32
	ImportGetI64       = "get_i64"        // (key, key_len i32) -> i64
	ImportDeny         = "deny"           // (reason, reason_len i32)
	ImportRetryAfterMS = "retry_after_ms" // (n i64)
	ImportCap          = "cap"            // (key, key_len i32, n i64)
	ImportNote         = "note"           // (key, key_len, value, value_len i32)
	ImportLog          = "log"            // (level, text, text_len i32)
)

// Results of check. Anything else is an error.
const (
	Allow = 0
	Deny  = 1
)

// Error results of the getters.
const (
	Absent   = -1            // get: there is no such field
	NoNumber = math.MinInt64 // get_i64: there is none, or it is not a number
)

// Levels of log. Anything below counts as the first, anything above as the last.
const (
	LevelDebug = 0
	LevelInfo  = 1
	LevelWarn  = 2
	LevelError = 3
)

// Keys of the getters.
const (
	KeyHook          = "hook"
	KeyPhase         = "phase"
	KeyLockName      = "lock.name"
	KeyLockHeld      = "lock.held"
	KeyLockHolder    = "lock.holder"
	KeyLockAccount   = "lock.account"
	KeyLockExpiresAt = "lock.expires_at_ms"
	KeyLockGrantedAt = "lock.granted_at_ms"
	KeyQueueLength   = "queue.length"
	KeyAccount       = "account"
	KeyHolder        = "holder"
	KeyReason        = "reason"
	KeyRemoteAddr    = "remote_addr"
	KeyTTL           = "ttl_ms"
	KeyWait          = "wait_ms"
	KeyWaited        = "waited_ms"
	KeyAccountHeld   = "account.held"
	KeyAccountGroups = "account.groups"
	KeyNow           = "now_ms"
	KeyDecisionID    = "decision_id"
	KeyConfig        = "config"
	KeyEvent         = "event"
	KeyRequest       = "request"

	PrefixMetadata    = "metadata."     // and a key of the request's metadata
	PrefixAccountHeld = "account.held:" // and the beginning of lock names
	PrefixLocalTime   = "local_time:"   // and an IANA time zone

	// These look at other locks, as far as the manifest's member "reads" lets them.
	PrefixLockState   = "lock.state:"   // and the name of a lock: StateHeld or StateFree
	PrefixLockHolder  = "lock.holder:"  // and the name of a lock
	PrefixLockAccount = "lock.account:" // and the name of a lock
	PrefixHeld        = "held:"         // and the beginning of lock names
)

// Values of [PrefixLockState].
const (
	StateHeld = "held" // as a number 1
	StateFree = "free" // as a number 0
)

// CapPriority is a key of cap besides [KeyTTL] and [KeyWait], for the class in which the
// request waits. The getters do not know it.
const CapPriority = "priority"

// Values of cap for [CapPriority]; another is an error of the policy. Of several the
// smallest counts, and a policy that sets none has no say in it.
const (
	PriorityBack   = -1
	PriorityNormal = 0
	PriorityFront  = 1
)

// Values of hook and phase.
const (
	HookAcquire = "acquire"
	HookRenew   = "renew"
	HookBreak   = "break"
	HookObserve = "observe"

	PhaseRequest = "request"
	PhaseGrant   = "grant"
)

// Bounds of what a policy may say. Longer texts are cut, at the end of a character;
// notes beyond the bounds are an error of the policy.
const (
	MaxReason    = 512     // bytes
	MaxNotes     = 16      // of one call
	MaxNoteBytes = 4 << 10 // keys and values of one call together
	MaxLogLine   = 1 << 10 // bytes
	MaxLogLines  = 16      // of one call; the rest is dropped
	MaxCounted   = 10_000  // names that [PrefixHeld] looks at; the count stops there
	MaxKey       = 1 << 10 // bytes; a longer key is absent. The longest name of a lock fits, behind a prefix
	MinTTLCap    = 1000    // ms: a lower cap of ttl_ms counts as this
)

// Schema is the JSON Schema of the document that [KeyRequest] gives.
//
//go:embed request.schema.json
var Schema []byte

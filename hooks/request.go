package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/abi"
)

// request is what is known of a question, in the words of the interface. It serves
// one question, all its policies one after the other.
type request struct {
	q        core.Question
	event    *event    // observe: there is no question
	decided  time.Time // zero: not asked for yet
	document string    // made when first asked for
	turns    *turns    // nil: it has no turn; it is kept from one policy to the next
	spent    int64     // fuel, on this turn
	// patient means that no client waits: that of an observer or an explanation.
	patient bool
	looked  *looks // at other locks; nil: none yet

	// In trials and explanations only.
	heard  func(level int32, text string) // takes what a guest logs; nil: the log does
	absent func(key string) bool          // what cannot be known; nil: everything is
}

func newRequest(q core.Question, now time.Time) *request { return &request{q: q, decided: now} }

// requests are used again for other questions. What is in the pool is zero.
var requests = sync.Pool{New: func() any { return new(request) }}

// release ends a request that came from the pool. Nothing of it is kept.
func (r *request) release() {
	r.endTurn()
	*r = request{}
	requests.Put(r)
}

func (r *request) endTurn() {
	if r.turns != nil {
		r.turns.done(false)
		r.turns = nil
	}
}

// turnFuel is how much fuel a request spends on one turn before others that wait come first.
// Changing places at every policy would cost more than most policies do.
const turnFuel = 500_000

// keepTurn goes on with the turn of a request that has used it for long, unless other
// requests wait for one: then it waits for the next. After an error it has none.
func (r *request) keepTurn(ctx context.Context) (waited bool, err error) {
	r.spent = 0
	if waited, err = r.turns.keep(ctx); err != nil {
		r.turns = nil // another has it
	}
	return waited, err
}

// now is the time of the decision: that at which it is first asked for.
func (r *request) now() time.Time {
	if r.decided.IsZero() {
		r.decided = time.Now()
	}
	return r.decided
}

// startRequest stands in while a module starts: there is no request.
func startRequest(p *policy) *request { return &request{heard: p.heard} }

// random returns the random numbers of a request: they follow from its id, or from all
// of an event.
func (r *request) random() *rand.ChaCha8 {
	if r.event != nil {
		return rand.NewChaCha8(sha256.Sum256([]byte(r.event.line)))
	}
	return rand.NewChaCha8(sha256.Sum256([]byte(r.q.Asked.RequestID)))
}

// isPlain reports whether all of a question can be known, and it is one.
func (r *request) isPlain() bool { return r.event == nil && r.absent == nil }

// text returns the field of a key in its text form.
func (r *request) text(p *policy, key string) (string, bool) {
	if r.absent != nil && r.absent(key) {
		return "", false
	}
	if r.event == nil { // what is asked for most
		switch key {
		case abi.KeyLockName:
			return string(r.q.Asked.Name), true
		case abi.KeyAccount:
			return r.q.Asked.Actor.Account, true
		}
	}
	if n, is := r.number(key); is {
		return strconv.FormatInt(n, 10), true
	}
	if key == abi.KeyConfig {
		return p.config, true
	}
	if r.event != nil {
		return r.event.text(key)
	}
	a, view := &r.q.Asked, &r.q.View
	switch key {
	case abi.KeyHook:
		return string(r.q.Hook), true
	case abi.KeyPhase:
		return string(r.q.Phase), true
	case abi.KeyHolder:
		return a.Holder, true
	case abi.KeyReason:
		return a.Reason, true
	case abi.KeyRemoteAddr:
		return a.Actor.RemoteAddr, true
	case abi.KeyDecisionID:
		return a.RequestID, true
	case abi.KeyRequest:
		return r.json(), true
	case abi.KeyLockHolder:
		if view.Lease != nil {
			return view.Lease.Holder, true
		}
	case abi.KeyLockAccount:
		if view.Lease != nil {
			return view.Lease.Account, true
		}
	}
	if name, is := strings.CutPrefix(key, abi.PrefixMetadata); is {
		value, there := a.Metadata[name]
		return value, there
	}
	return "", false
}

// number returns the field of a key that has a number form.
func (r *request) number(key string) (int64, bool) {
	if r.absent != nil && r.absent(key) {
		return 0, false
	}
	if key == abi.KeyNow {
		return r.now().UnixMilli(), true
	}
	if r.event != nil {
		return r.event.number(key)
	}
	switch key {
	case abi.KeyLockHeld:
		if r.q.View.Lease != nil {
			return 1, true
		}
		return 0, true
	case abi.KeyLockExpiresAt:
		if r.q.View.Lease == nil {
			return 0, false
		}
		return r.q.View.Lease.ExpiresAt.UnixMilli(), true
	case abi.KeyLockGrantedAt:
		if r.q.View.Lease == nil {
			return 0, false
		}
		return r.q.View.Lease.GrantedAt.UnixMilli(), true
	case abi.KeyQueueLength:
		return int64(r.q.View.Waiters), true
	case abi.KeyTTL:
		return r.q.Asked.TTL.Milliseconds(), true
	case abi.KeyWait:
		return r.q.Asked.Wait.Milliseconds(), true
	case abi.KeyWaited:
		return r.q.Waited.Milliseconds(), true
	case abi.KeyAccountHeld:
		return r.held("")
	}
	if prefix, is := strings.CutPrefix(key, abi.PrefixAccountHeld); is {
		return r.held(prefix)
	}
	return 0, false
}

func (r *request) held(prefix string) (int64, bool) {
	if r.q.Held == nil {
		return 0, false
	}
	return int64(r.q.Held(prefix)), true
}

// document is the form of abi/request.schema.json.
type document struct {
	Hook  core.Hook  `json:"hook"`
	Phase core.Phase `json:"phase"`
	Lock  struct {
		Name      string `json:"name"`
		Held      bool   `json:"held"`
		Holder    string `json:"holder,omitempty"`
		Account   string `json:"account,omitempty"`
		ExpiresAt int64  `json:"expires_at_ms,omitempty"`
		GrantedAt int64  `json:"granted_at_ms,omitempty"`
	} `json:"lock"`
	Queue struct {
		Length int `json:"length"`
	} `json:"queue"`
	Account    string            `json:"account"`
	Holder     string            `json:"holder"`
	Reason     string            `json:"reason"`
	RemoteAddr string            `json:"remote_addr"`
	TTL        int64             `json:"ttl_ms"`
	Wait       int64             `json:"wait_ms"`
	Waited     int64             `json:"waited_ms"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Now        int64             `json:"now_ms"`
	DecisionID string            `json:"decision_id"`
}

func (r *request) json() string {
	if r.document != "" {
		return r.document
	}
	a, view := &r.q.Asked, &r.q.View
	d := document{
		Hook: r.q.Hook, Phase: r.q.Phase, Account: a.Actor.Account, Holder: a.Holder, Reason: a.Reason,
		RemoteAddr: a.Actor.RemoteAddr, TTL: a.TTL.Milliseconds(), Wait: a.Wait.Milliseconds(), Waited: r.q.Waited.Milliseconds(),
		Metadata: a.Metadata, Now: r.now().UnixMilli(), DecisionID: a.RequestID,
	}
	d.Lock.Name = string(a.Name)
	d.Queue.Length = view.Waiters
	if l := view.Lease; l != nil {
		d.Lock.Held, d.Lock.Holder, d.Lock.Account, d.Lock.ExpiresAt = true, l.Holder, l.Account, l.ExpiresAt.UnixMilli()
		d.Lock.GrantedAt = l.GrantedAt.UnixMilli()
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // it always encodes
	}
	if r.absent != nil {
		b = without(b, r.absent)
	}
	r.document = string(b)
	return r.document
}

// without leaves out of a document the members that are absent.
func without(b []byte, absent func(key string) bool) []byte {
	var members map[string]any
	if err := json.Unmarshal(b, &members); err != nil {
		panic(err) // it was encoded just now
	}
	for name, value := range members {
		inner, is := value.(map[string]any)
		if !is || name == "metadata" {
			inner = nil
		}
		for of := range inner {
			if absent(name + "." + of) {
				delete(inner, of)
			}
		}
		if absent(name) || is && inner != nil && len(inner) == 0 {
			delete(members, name)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return b
}

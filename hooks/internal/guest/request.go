package guest

import (
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/abi"
)

// Request is a question with the getters of the interface. All policies share it, one after the other.
type Request struct {
	Question core.Question
	event    *event    // observe: there is no question
	decided  time.Time // time of the decision; zero: no policy has asked for it
	document string    // in JSON, made when a policy asks for it
	looked   *looks    // at other locks; nil: none yet

	// In trials and explanations only.
	Heard  func(level int32, text string) // takes log lines of guests; nil: the log does
	Absent func(key string) bool          // keys that are absent; nil: none
}

// NewRequest makes a request of a question. Policies see now as the time; zero means the time at which
// the first of them asks for it.
func NewRequest(q core.Question, now time.Time) Request { return Request{Question: q, decided: now} }

// Observes reports whether the request is an event.
func (r *Request) Observes() bool { return r.event != nil }

// now is the time of the decision.
func (r *Request) now() time.Time {
	if r.decided.IsZero() {
		r.decided = time.Now()
	}
	return r.decided
}

// startRequest is the empty request of a start.
func startRequest(p *Program) *Request { return &Request{Heard: p.Heard} }

// random returns the random numbers of a request: its id, or the whole event, is their seed.
func (r *Request) random() *rand.ChaCha8 {
	if r.event != nil {
		return rand.NewChaCha8(sha256.Sum256([]byte(r.event.line)))
	}
	return rand.NewChaCha8(sha256.Sum256([]byte(r.Question.Asked.RequestID)))
}

// isPlain reports whether the request is a question without absent keys.
func (r *Request) isPlain() bool { return r.event == nil && r.Absent == nil }

// text returns the field of a key in its text form.
func (r *Request) text(p *Program, key string) (string, bool) {
	if r.Absent != nil && r.Absent(key) {
		return "", false
	}
	if r.event == nil { // the most frequent keys
		switch key {
		case abi.KeyLockName:
			return string(r.Question.Asked.Name), true
		case abi.KeyAccount:
			return r.Question.Asked.Actor.Account, true
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
	a, view := &r.Question.Asked, &r.Question.View
	switch key {
	case abi.KeyHook:
		return string(r.Question.Hook), true
	case abi.KeyPhase:
		return string(r.Question.Phase), true
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
func (r *Request) number(key string) (int64, bool) {
	if r.Absent != nil && r.Absent(key) {
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
		if r.Question.View.Lease != nil {
			return 1, true
		}
		return 0, true
	case abi.KeyLockExpiresAt:
		if r.Question.View.Lease == nil {
			return 0, false
		}
		return r.Question.View.Lease.ExpiresAt.UnixMilli(), true
	case abi.KeyLockGrantedAt:
		if r.Question.View.Lease == nil {
			return 0, false
		}
		return r.Question.View.Lease.GrantedAt.UnixMilli(), true
	case abi.KeyQueueLength:
		return int64(r.Question.View.Waiters), true
	case abi.KeyTTL:
		return r.Question.Asked.TTL.Milliseconds(), true
	case abi.KeyWait:
		return r.Question.Asked.Wait.Milliseconds(), true
	case abi.KeyWaited:
		return r.Question.Waited.Milliseconds(), true
	case abi.KeyAccountHeld:
		return r.held("")
	}
	if prefix, is := strings.CutPrefix(key, abi.PrefixAccountHeld); is {
		return r.held(prefix)
	}
	return 0, false
}

func (r *Request) held(prefix string) (int64, bool) {
	if r.Question.Held == nil {
		return 0, false
	}
	return int64(r.Question.Held(prefix)), true
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

func (r *Request) json() string {
	if r.document != "" {
		return r.document
	}
	a, view := &r.Question.Asked, &r.Question.View
	d := document{
		Hook: r.Question.Hook, Phase: r.Question.Phase, Account: a.Actor.Account, Holder: a.Holder, Reason: a.Reason,
		RemoteAddr: a.Actor.RemoteAddr, TTL: a.TTL.Milliseconds(), Wait: a.Wait.Milliseconds(), Waited: r.Question.Waited.Milliseconds(),
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
	if r.Absent != nil {
		b = without(b, r.Absent)
	}
	r.document = string(b)
	return r.document
}

// without removes absent members from a document.
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

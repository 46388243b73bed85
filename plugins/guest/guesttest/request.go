//go:build !wasip1

// Package guesttest tests a policy natively, in a plain Go test: in place of a server it calls
// the functions that the package under test registered, and returns their answers. It bounds
// neither fuel nor memory; `octostore policy test` runs the same fixtures on the built module.
package guesttest

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Request is a request, in the form of request.schema.json.
type Request struct {
	Hook        string            `json:"hook"`
	Phase       string            `json:"phase"`
	Lock        Lock              `json:"lock"`
	Queue       Queue             `json:"queue"`
	Account     string            `json:"account"`
	Holder      string            `json:"holder"`
	Reason      string            `json:"reason"`
	RemoteAddr  string            `json:"remote_addr"`
	TTLMS       int64             `json:"ttl_ms"`
	WaitMS      int64             `json:"wait_ms"`
	WaitedMS    int64             `json:"waited_ms"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	AccountHeld map[string]int64  `json:"account_held,omitempty"` // by prefix; what is not there is 0
	NowMS       int64             `json:"now_ms"`
	DecisionID  string            `json:"decision_id"`

	AccountGroups []string             `json:"account_groups,omitempty"` // nil: it is not known
	Locks         map[string]OtherLock `json:"locks,omitempty"`          // by name; what is not there is free
	Held          map[string]int64     `json:"held,omitempty"`           // of all accounts, by prefix; what is not there is 0
}

// Lock is the lock of a request. Holder, Account, ExpiresAtMS and GrantedAtMS count only while
// it is held; without GrantedAtMS the time of the grant is unknown.
type Lock struct {
	Name        string `json:"name"`
	Held        bool   `json:"held"`
	Holder      string `json:"holder,omitempty"`
	Account     string `json:"account,omitempty"`
	ExpiresAtMS int64  `json:"expires_at_ms,omitempty"`
	GrantedAtMS int64  `json:"granted_at_ms,omitempty"`
}

// Queue is the queue of the lock.
type Queue struct {
	Length int64 `json:"length"`
}

// NewRequest returns the request that fixtures start from: the account "local"
// acquires the free lock "example" for a minute, at the beginning of 2026.
func NewRequest() Request {
	return Request{
		Hook: "acquire", Phase: "request", Lock: Lock{Name: "example"}, Account: "local",
		TTLMS: 60_000, NowMS: 1_767_225_600_000, DecisionID: "fixture",
	}
}

// text returns the field of a key in its text form.
func (r *Request) text(key string) (string, bool) {
	if text, _, there, looks := r.look(key); looks {
		return text, there
	}
	if n := r.number(key); n != math.MinInt64 {
		return strconv.FormatInt(n, 10), true
	}
	switch key {
	case "hook":
		return r.Hook, true
	case "phase":
		return r.Phase, true
	case "lock.name":
		return r.Lock.Name, true
	case "lock.holder":
		return r.Lock.Holder, r.Lock.Held
	case "lock.account":
		return r.Lock.Account, r.Lock.Held
	case "account":
		return r.Account, true
	case "holder":
		return r.Holder, true
	case "reason":
		return r.Reason, true
	case "remote_addr":
		return r.RemoteAddr, true
	case "decision_id":
		return r.DecisionID, true
	case "request":
		return r.document(), true
	}
	if name, is := strings.CutPrefix(key, "metadata."); is {
		value, there := r.Metadata[name]
		return value, there
	}
	return "", false
}

// number returns the field of a key that has a number form, or the smallest number.
func (r *Request) number(key string) int64 {
	if _, n, _, looks := r.look(key); looks {
		return n
	}
	switch key {
	case "lock.held":
		if r.Lock.Held {
			return 1
		}
		return 0
	case "lock.expires_at_ms":
		if r.Lock.Held {
			return r.Lock.ExpiresAtMS
		}
	case "lock.granted_at_ms":
		if r.Lock.Held && r.Lock.GrantedAtMS != 0 {
			return r.Lock.GrantedAtMS
		}
	case "queue.length":
		return r.Queue.Length
	case "ttl_ms":
		return r.TTLMS
	case "wait_ms":
		return r.WaitMS
	case "waited_ms":
		return r.WaitedMS
	case "now_ms":
		return r.NowMS
	case "account.held":
		return r.AccountHeld[""]
	}
	if prefix, is := strings.CutPrefix(key, "account.held:"); is {
		return r.AccountHeld[prefix]
	}
	return math.MinInt64
}

// document is what the key "request" gives; the server leaves out what it would have
// to count.
func (r *Request) document() string {
	d := *r
	d.AccountHeld, d.AccountGroups, d.Locks, d.Held = nil, nil, nil, nil
	if !d.Lock.Held {
		d.Lock = Lock{Name: d.Lock.Name}
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // it always encodes
	}
	return string(b)
}

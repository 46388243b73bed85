//go:build !wasip1

package guesttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/internal/host"
)

// Answer is the answer of a policy.
type Answer struct {
	Verdict      string // allow, deny or error; of an observing policy done, again or error
	Reason       string // of a denial, for the client; of an event that comes again
	RetryAfterMS int64  // of a denial; 0: none
	TTLMS        int64  // the requested ttl, after its caps
	WaitMS       int64  // the requested wait, after its caps
	Priority     string // front, normal or back; empty: it sets none
	Notes        map[string]string
	Log          []Line
	Err          error // of the verdict error
}

// Line is a line of the log.
type Line struct {
	Level guest.Level
	Text  string
}

// one is held during a call: an instance has one at a time.
var one sync.Mutex

// config is the configuration of the policy; the key stays readable.
var config = "{}"

// Configure passes a configuration, a JSON object, to the policy, as a load does. The error is
// the one for the operator.
func Configure(object string) error {
	one.Lock()
	defer one.Unlock()
	config = object
	if !json.Valid([]byte(object)) {
		return errors.New("the configuration is not valid JSON")
	}
	c := &call{request: &Request{}, starting: true}
	result, err := c.run(host.RunConfigure)
	switch {
	case err != nil:
		return err
	case result == 0:
		return nil
	}
	return errors.New(c.answer.Reason)
}

// Ask passes a request to the policy and returns its answer.
func Ask(r Request) Answer {
	c := &call{request: &r, answer: Answer{TTLMS: r.TTLMS, WaitMS: r.WaitMS}}
	switch result, err := c.locked(host.RunCheck); {
	case err != nil:
		return c.failed("trap", err)
	case result == 0:
		c.answer.Verdict, c.answer.Reason, c.answer.RetryAfterMS = "allow", "", 0
	case result == 1:
		c.answer.Verdict = "deny"
	default:
		return c.failed("result", fmt.Errorf("check returned %d; is guest.Check called in init?", result))
	}
	return c.answer
}

// Observe passes an event, a line of the audit log, to the policy.
func Observe(event string) Answer {
	c := &call{request: &Request{Hook: "observe", NowMS: NewRequest().NowMS}, event: event}
	switch result, err := c.locked(host.RunObserve); {
	case err != nil:
		return c.failed("trap", err)
	case result == 0:
		c.answer.Verdict = "done"
	case result == host.Unregistered:
		return c.failed("result", errors.New("there is no observe; is guest.Observe called in init?"))
	default:
		c.answer.Verdict = "again"
	}
	return c.answer
}

// failed is the answer of a policy that gave none.
func (c *call) failed(kind string, err error) Answer {
	return Answer{Verdict: "error", Reason: kind, Err: err, TTLMS: c.request.TTLMS, WaitMS: c.request.WaitMS, Log: c.answer.Log}
}

// call is the host during one call.
type call struct {
	request  *Request
	event    string
	starting bool // there is no request: only config, log and deny
	answer   Answer
	priority guest.Priority // where answer has one
}

func (c *call) locked(export func() int32) (int32, error) {
	one.Lock()
	defer one.Unlock()
	return c.run(export)
}

// run calls an export; a panic in it is an error, as a trap is.
func (c *call) run(export func() int32) (result int32, err error) {
	host.Now = c
	defer func() {
		host.Now = nil
		if p := recover(); p != nil {
			err = fmt.Errorf("it panics: %v", p)
		}
	}()
	return export(), nil
}

// Bounds of the interface, as in hooks/abi.
const (
	maxReason    = 512
	maxNotes     = 16
	maxNoteBytes = 4 << 10
	maxLogLine   = 1 << 10
	maxLogLines  = 16
	minTTLCap    = 1000
)

func (c *call) Get(key string) (string, bool) {
	switch {
	case key == "config":
		return config, true
	case c.starting:
		return "", false
	case c.event == "":
		return c.request.text(key)
	case key == "event":
		return c.event, true
	}
	return "", false // the server knows more of an event; guest.Event has all of it
}

func (c *call) GetI64(key string) int64 {
	if c.starting || c.event != "" {
		return math.MinInt64
	}
	return c.request.number(key)
}

func (c *call) Deny(reason string) { c.answer.Reason = cut(reason, maxReason) }

func (c *call) RetryAfterMS(n int64) { c.answer.RetryAfterMS = max(n, 0) }

func (c *call) Cap(key string, n int64) {
	if key == "priority" {
		c.setPriority(guest.Priority(n))
		return
	}
	left := &c.answer.TTLMS
	switch key {
	case "ttl_ms":
		n = max(n, minTTLCap)
	case "wait_ms":
		left, n = &c.answer.WaitMS, max(n, 0)
	default:
		panic(fmt.Sprintf("cap: there is no cap of %q", key))
	}
	if c.changes() {
		*left = min(*left, n)
	}
}

// changes reports whether the request is one that caps change.
func (c *call) changes() bool {
	return !c.starting && c.request.Hook == guest.HookAcquire && c.request.Phase == guest.PhaseRequest
}

// setPriority keeps the rearmost of the priorities the policy sets.
func (c *call) setPriority(p guest.Priority) {
	words := map[guest.Priority]string{guest.Front: "front", guest.Normal: "normal", guest.Back: "back"}
	if words[p] == "" {
		panic(fmt.Sprintf("cap: a priority is %d (back), %d (normal) or %d (front), not %d", guest.Back, guest.Normal, guest.Front, p))
	}
	if c.changes() && (c.answer.Priority == "" || p < c.priority) {
		c.answer.Priority, c.priority = words[p], p
	}
}

func (c *call) Note(key, value string) {
	size := len(key) + len(value)
	for k, v := range c.answer.Notes {
		size += len(k) + len(v)
	}
	if len(c.answer.Notes) == maxNotes || size > maxNoteBytes {
		panic(fmt.Sprintf("note: more than %d notes or %d bytes", maxNotes, maxNoteBytes))
	}
	if c.answer.Notes == nil {
		c.answer.Notes = map[string]string{}
	}
	c.answer.Notes[cut(key, maxNoteBytes)] = cut(value, maxNoteBytes)
}

func (c *call) Log(level int32, text string) {
	if len(c.answer.Log) < maxLogLines {
		c.answer.Log = append(c.answer.Log, Line{guest.Level(max(0, min(level, 3))), cut(text, maxLogLine)})
	}
}

// cut copies at most n bytes of a text: the strings of a call lie in a buffer that the
// next one uses again.
func cut(s string, n int) string { return string([]byte(s[:min(len(s), n)])) }

package guest

import (
	"strings"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/hooks/abi"
)

// event is a line of the journal with the getters of the interface, for one call.
type event struct {
	line   string
	record *record.Record // made when first asked for
}

// NewObservation makes a request of a line of the journal, for a policy that observes.
func NewObservation(line []byte, now time.Time) Request {
	return Request{event: &event{line: string(line)}, decided: now}
}

// parses reports whether getting a key parses the line.
func (e *event) parses(key string) bool {
	switch key {
	case abi.KeyEvent, abi.KeyHook, abi.KeyConfig, abi.KeyNow:
		return false
	}
	return e.record == nil
}

func (e *event) parsed() *record.Record {
	if e.record == nil {
		r, _ := record.Parse([]byte(e.line)) // a line of the journal always parses
		e.record = &r
	}
	return e.record
}

// text returns a field that has no number form. Missing members are absent.
func (e *event) text(key string) (string, bool) {
	switch key {
	case abi.KeyHook:
		return abi.HookObserve, true
	case abi.KeyEvent:
		return e.line, true
	}
	r, value := e.parsed(), ""
	switch key {
	case abi.KeyLockName:
		value = string(r.Name)
	case abi.KeyAccount:
		value = r.Account
	case abi.KeyHolder:
		value = r.Holder
	case abi.KeyReason:
		value = r.Reason
	case abi.KeyRemoteAddr:
		value = r.RemoteAddr
	case abi.KeyDecisionID:
		value = r.RequestID
	default:
		if name, is := strings.CutPrefix(key, abi.PrefixMetadata); is {
			value, is := r.Metadata[name]
			return value, is
		}
	}
	return value, value != ""
}

// number returns a field that has a number form.
func (e *event) number(key string) (int64, bool) {
	switch key {
	case abi.KeyTTL:
		return e.parsed().TTLMS, e.parsed().TTLMS != 0
	case abi.KeyWaited:
		return e.parsed().WaitedMS, e.parsed().WaitedMS != 0
	}
	return 0, false
}

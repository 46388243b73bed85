// Package record is the format of the audit log: how an event becomes a line, how lines
// are chained and signed, and how an export of them begins and ends. [Seal] writes lines,
// [Parse] and [Lines] read them.
//
// # The chain
//
// Each event is one line: a JSON object without insignificant space, its members in
// fixed order, ended by a newline. Its last member, "prev", is the SHA-256 of the line
// before (without the newline) in unpadded base64url; in the first line of a journal it
// is empty. A reader needs nothing but the lines to check them.
//
// A checkpoint is a line with an Ed25519 signature by the key of the store. The
// signature covers the line itself and, through "prev", every line before it. When the
// oldest segments are pruned, a line of kind "pruned" names the last pruned event and
// its hash.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/octostore/octostore/core/lock"
)

var (
	errNotAKey    = errors.New("not a public key: want 43 characters of base64url, as octostore audit key prints them")
	errNotACursor = errors.New("not a cursor")
)

// FormatCursor returns the cursor of an event as it is written on the wire. Clients
// are to take it for an opaque text.
func FormatCursor(seq lock.Seq) string { return strconv.FormatUint(uint64(seq), 10) }

// ParseCursor reads what [FormatCursor] wrote. The empty text is the beginning.
func ParseCursor(s string) (lock.Seq, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 53)
	if err != nil || s[0] == '+' || len(s) > 1 && s[0] == '0' {
		return 0, errNotACursor
	}
	return lock.Seq(n), nil
}

// Record is a line of a journal, read back. Its members are those of the line.
type Record struct {
	Seq        lock.Seq          `json:"seq"`
	Time       time.Time         `json:"time"`
	Kind       lock.Kind         `json:"kind"`
	Name       lock.Name         `json:"name"`
	Token      lock.Token        `json:"token"`
	Account    string            `json:"account"`
	Holder     string            `json:"holder"`
	Reason     string            `json:"reason"`
	Metadata   map[string]string `json:"metadata"`
	TTLMS      int64             `json:"ttl_ms"`
	ConfirmMS  int64             `json:"confirm_ms"` // granted: the lease ends so soon unless it is renewed; 0: after its ttl
	WaitedMS   int64             `json:"waited_ms"`
	Priority   string            `json:"priority"` // the class it waited in: front or back; empty: normal
	ExpiresAt  time.Time         `json:"expires_at"`
	HeldMS     int64             `json:"held_ms"`
	By         string            `json:"by"`
	TokenID    string            `json:"token_id"`
	RemoteAddr string            `json:"remote_addr"`
	UserAgent  string            `json:"user_agent"`
	RequestID  string            `json:"request_id"`
	TraceID    string            `json:"trace_id"`
	Cause      string            `json:"cause"`
	Notes      []Note            `json:"notes"`
	Verdicts   []Verdict         `json:"verdicts"`
	PolicySet  string            `json:"policy_set"`          // id of the set that judged it; of policies_loaded and stopped, of the set Policies are of
	SetAtGrant string            `json:"policy_set_at_grant"` // id of the set that judged it again at its turn
	Policies   []Policy          `json:"policies"`            // policies_loaded, stopped
	Replaced   *PolicySet        `json:"replaced"`            // policies_loaded
	Cut        lock.Seq          `json:"cut"`
	CutHash    string            `json:"cut_hash"`
	Signature  string            `json:"signature"`
	Prev       string            `json:"prev"`
}

// Note is what a policy had to say.
type Note struct {
	Policy string `json:"policy"`
	Key    string `json:"key"`
	Value  string `json:"value"`
}

// Verdict is what a policy decided. A policy of the set that covers the request and
// has no verdict allowed it in silence; records of older versions have those verdicts, too.
type Verdict struct {
	Policy  string `json:"policy"`
	Digest  string `json:"digest"`
	At      string `json:"at"`
	Mode    string `json:"mode"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Fuel    int64  `json:"fuel"`
	// Priority is what the policy asked for: front, normal or back; empty: it did not say.
	Priority string `json:"priority"`

	CapTTLMS  int64  `json:"cap_ttl_ms"`  // what it lowered the ttl to; 0: it did not
	CapWaitMS *int64 `json:"cap_wait_ms"` // what it lowered the wait to; nil: it did not
}

// PolicySet says which policies judge requests together.
type PolicySet struct {
	ID       string   `json:"policy_set"`
	Policies []Policy `json:"policies"`
}

// Policy is a policy of a set.
type Policy struct {
	Policy string   `json:"policy"`
	Digest string   `json:"digest"` // SHA-256 of its module, in hex
	Mode   string   `json:"mode"`
	Hooks  []string `json:"hooks"`
	Match  []string `json:"match"` // nil: too many to be recorded
}

// PolicySets returns the sets a record describes: none, or that which rules from then on,
// or ruled until then, and that which it replaced.
func (r *Record) PolicySets() (sets []PolicySet) {
	if r.Policies != nil {
		sets = append(sets, PolicySet{ID: r.PolicySet, Policies: r.Policies})
	}
	if r.Replaced != nil {
		sets = append(sets, *r.Replaced)
	}
	return sets
}

// Parse reads a line.
func Parse(line []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(line, &r)
	return r, err
}

// Line is one line of a segment, without its newline, and what stands at its
// beginning.
type Line struct {
	Seq   lock.Seq
	Time  []byte // see [TimeFormat]
	Kind  lock.Kind
	Name  []byte // empty: not about a lock
	Bytes []byte
}

// Lines returns the lines of a segment after the given event.
func Lines(s lock.Segment, after lock.Seq) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for rest := s.Bytes; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte{'\n'})
			l, ok := Peek(line)
			if ok && l.Seq > after && !yield(l) {
				return
			}
		}
	}
}

// Peek reads the beginning of a canonical line, which is always the same: it is what
// filters look at, so it must be quick. ok is false if the line does not begin so.
func Peek(line []byte) (l Line, ok bool) {
	l.Bytes = line
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	if !ok {
		return l, false
	}
	digits := 0
	for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' && digits < 17 {
		l.Seq = 10*l.Seq + lock.Seq(rest[digits]-'0')
		digits++
	}
	if digits == 0 {
		return l, false
	}
	rest = rest[digits:]
	if text, after, found := nextText(rest, `,"time":"`); found {
		l.Time, rest = text, after
	}
	text, rest, found := nextText(rest, `,"kind":"`)
	if !found {
		return l, false
	}
	l.Kind = kindOf(text)
	l.Name, _, _ = nextText(rest, `,"name":"`)
	return l, true
}

// Prev returns the last member of a line: the hash of the line before.
func Prev(line []byte) (string, bool) {
	at := bytes.LastIndex(line, []byte(`,"prev":"`))
	if at < 0 || !bytes.HasSuffix(line, []byte(`"}`)) {
		return "", false
	}
	return string(line[at+len(`,"prev":"`) : len(line)-2]), true
}

var knownKinds = func() map[string]lock.Kind {
	known := map[string]lock.Kind{}
	for _, k := range lock.Kinds() {
		known[string(k)] = k
	}
	return known
}()

// kindOf makes no garbage for the kinds it knows.
func kindOf(text []byte) lock.Kind {
	if k, ok := knownKinds[string(text)]; ok {
		return k
	}
	return lock.Kind(text)
}

// nextText reads a member whose text holds nothing that is escaped.
func nextText(b []byte, member string) (text, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(b, []byte(member))
	if !ok {
		return nil, b, false
	}
	text, rest, ok = bytes.Cut(rest, []byte{'"'})
	return text, rest, ok
}

package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/octostore/octostore/core/lock"
)

// TimeFormat is how a line writes a time, always in UTC.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// Seal turns the events of b into its Segment, chained to b.Prev, and sets b.Next.
// The same events after the same head give the same bytes.
func Seal(b *lock.Batch) {
	buf := make([]byte, 0, 384*len(b.Events))
	head := b.Prev
	for i := range b.Events {
		start := len(buf)
		buf = appendLine(buf, &b.Events[i], head)
		head = lock.Head{Seq: b.Events[i].Seq, Hash: sha256.Sum256(buf[start:])}
		buf = append(buf, '\n')
	}
	last := b.Events[len(b.Events)-1]
	b.Next = head
	b.Segment = lock.Segment{
		First: b.Events[0].Seq,
		Last:  last.Seq,
		Count: len(b.Events),
		Time:  last.Time,
		Bytes: buf,
	}
}

// HeadOf returns the head of a journal whose newest segment is s: what its last
// line says and hashes to.
func HeadOf(s lock.Segment) (lock.Head, error) {
	lines := bytes.TrimSuffix(s.Bytes, []byte{'\n'})
	if len(lines) == len(s.Bytes) {
		return lock.Head{}, fmt.Errorf("segment %d: its last line is not ended", s.First)
	}
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	return lock.Head{Seq: s.Last, Hash: sha256.Sum256(last)}, nil
}

// appendLine appends one event, without the newline. Lease ids and idempotency
// keys are not part of an event, so they cannot get here.
func appendLine(b []byte, e *lock.Event, prev lock.Head) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, uint64(e.Seq), 10)
	b = append(b, `,"time":"`...)
	b = e.Time.UTC().AppendFormat(b, TimeFormat)
	b = append(b, `","kind":"`...)
	b = append(b, e.Kind...)
	b = append(b, '"')
	if e.Lease != nil {
		b = appendLease(b, e)
	}
	b = appendActor(b, e)
	b = appendText(b, "request_id", e.RequestID)
	b = appendText(b, "cause", e.Cause)
	b = appendNotes(b, e.Notes)
	b = appendVerdicts(b, e.Verdicts)
	b = append(b, `,"prev":"`...)
	if prev.Seq != 0 {
		b = base64.RawURLEncoding.AppendEncode(b, prev.Hash[:])
	}
	return append(b, '"', '}')
}

func appendLease(b []byte, e *lock.Event) []byte {
	l := e.Lease
	b = appendText(b, "name", string(l.Name))
	if l.Token != 0 {
		b = append(b, `,"token":`...)
		b = strconv.AppendUint(b, uint64(l.Token), 10)
	}
	b = appendText(b, "account", l.Account)
	b = appendText(b, "holder", l.Holder)
	b = appendText(b, "reason", l.Reason)
	b = appendMetadata(b, l.Metadata)
	b = appendMillis(b, "ttl_ms", l.TTL)
	switch {
	case e.Kind == lock.Granted:
		b = appendMillis(b, "waited_ms", e.Waited)
	case e.Kind == lock.Renewed:
		b = append(b, `,"expires_at":"`...)
		b = l.ExpiresAt.UTC().AppendFormat(b, TimeFormat)
		b = append(b, '"')
	case e.Kind.Ends():
		b = appendMillis(b, "held_ms", e.Time.Sub(l.GrantedAt))
	}
	return b
}

// appendActor names who did it, where that is not plain from the lease.
func appendActor(b []byte, e *lock.Event) []byte {
	if e.Lease == nil || e.Actor.Account != e.Lease.Account {
		b = appendText(b, "by", e.Actor.Account)
	}
	b = appendText(b, "token_id", e.Actor.TokenID)
	b = appendText(b, "remote_addr", e.Actor.RemoteAddr)
	return appendText(b, "user_agent", e.Actor.UserAgent)
}

func appendMetadata(b []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return b
	}
	b = append(b, `,"metadata":{`...)
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = appendString(b, m[k])
	}
	return append(b, '}')
}

func appendNotes(b []byte, notes []lock.Note) []byte {
	if len(notes) == 0 {
		return b
	}
	b = append(b, `,"notes":[`...)
	for i, n := range notes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"policy":`...)
		b = appendString(b, n.Policy)
		b = append(b, `,"key":`...)
		b = appendString(b, n.Key)
		b = append(b, `,"value":`...)
		b = appendString(b, n.Value)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendVerdicts(b []byte, verdicts []lock.Verdict) []byte {
	if len(verdicts) == 0 {
		return b
	}
	b = append(b, `,"verdicts":[`...)
	for i, v := range verdicts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"policy":`...)
		b = appendString(b, v.Policy)
		b = appendText(b, "digest", v.Digest)
		b = appendText(b, "at", v.At)
		b = appendText(b, "mode", v.Mode)
		b = appendText(b, "verdict", v.Verdict)
		b = appendText(b, "reason", v.Reason)
		b = append(b, `,"fuel":`...)
		b = strconv.AppendInt(b, v.Fuel, 10)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendMillis(b []byte, member string, d time.Duration) []byte {
	if d <= 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, member...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, d.Milliseconds(), 10)
}

// appendText appends a string member, or nothing if it is empty.
func appendText(b []byte, member, s string) []byte {
	if s == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, member...)
	b = append(b, '"', ':')
	return appendString(b, s)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string with the fewest escapes RFC 8259 allows:
// the quote, the backslash and the control characters, these as \u00xx. Bytes that
// are not UTF-8 become U+FFFD, so that every line is valid JSON.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

package wire

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

func appendGrant(b []byte, g table.Grant, wait, server time.Duration, now time.Time) []byte {
	l := g.Lease
	b = appendString(append(b, `{"name":`...), string(l.Name))
	b = appendString(append(b, `,"lease_id":`...), g.LeaseID)
	b = appendToken(b, `,"fencing_token":`, l.Token)
	b = appendString(append(b, `,"account":`...), l.Account)
	b = appendString(append(b, `,"holder":`...), l.Holder)
	b = appendMillis(b, `,"ttl_ms":`, l.TTL)
	b = appendConfirm(b, l.ConfirmWithin)
	b = appendMillis(b, `,"expires_in_ms":`, max(0, l.ExpiresAt.Sub(now)))
	b = appendMillis(b, `,"server_ms":`, server)
	b = appendMillis(b, `,"waited_ms":`, g.Waited)
	b = appendMillis(b, `,"wait_ms":`, wait)
	b = appendTime(b, `,"granted_at":`, l.GrantedAt)
	b = appendTime(b, `,"expires_at":`, l.ExpiresAt)
	return append(b, "}\n"...)
}

func appendEnded(b []byte, e lock.EndedLease) []byte {
	b = appendString(append(b, `{"name":`...), string(e.Lease.Name))
	b = appendToken(b, `,"fencing_token":`, e.Lease.Token)
	b = appendMillis(b, `,"held_ms":`, e.Held)
	return append(b, "}\n"...)
}

func appendLock(b []byte, v lock.View, now time.Time) []byte {
	return append(appendView(b, v, whole, now), '\n')
}

func appendList(b []byte, views []lock.View, next lock.Name, how detail, now time.Time) []byte {
	b = append(b, `{"locks":[`...)
	for i, v := range views {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendView(b, v, how, now)
	}
	b = appendString(append(b, `],"next":`...), string(next))
	return append(b, "}\n"...)
}

// detail is how much of a lock is shown.
type detail bool

const (
	listed detail = false // without the metadata of waiters, of which there may be many
	whole  detail = true
)

func appendView(b []byte, v lock.View, how detail, now time.Time) []byte {
	b = appendString(append(b, `{"name":`...), string(v.Name))
	if v.Lease == nil {
		b = append(b, `,"state":"free"`...)
	} else {
		b = appendLease(append(b, `,"state":"held","lease":`...), v.Lease, now)
	}
	b = strconv.AppendInt(append(b, `,"waiters_total":`...), int64(v.Waiters), 10)
	if !v.WaitingSince.IsZero() {
		b = appendTime(b, `,"waiting_since":`, v.WaitingSince)
	}
	b = append(b, `,"waiters":[`...)
	for i, w := range v.Queue {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendWaiter(b, w, how)
	}
	b = append(b, ']')
	if n := len(v.Queue); n > 0 && v.Queue[n-1].Position < v.Waiters {
		b = strconv.AppendInt(append(b, `,"waiters_next":`...), int64(v.Queue[n-1].Position), 10)
	}
	return append(b, '}')
}

func appendLease(b []byte, l *lock.Lease, now time.Time) []byte {
	b = appendToken(b, `{"fencing_token":`, l.Token)
	b = appendString(append(b, `,"account":`...), l.Account)
	b = appendString(append(b, `,"holder":`...), l.Holder)
	b = appendString(append(b, `,"reason":`...), l.Reason)
	b = appendMetadata(b, l.Metadata)
	b = appendMillis(b, `,"ttl_ms":`, l.TTL)
	b = appendConfirm(b, l.ConfirmWithin)
	b = appendMillis(b, `,"expires_in_ms":`, max(0, l.ExpiresAt.Sub(now)))
	b = appendTime(b, `,"granted_at":`, l.GrantedAt)
	b = appendTime(b, `,"expires_at":`, l.ExpiresAt)
	return append(b, '}')
}

func appendMetadata(b []byte, metadata map[string]string) []byte {
	if len(metadata) == 0 {
		return b
	}
	b = append(b, `,"metadata":{`...)
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, key)
		b = appendString(append(b, ':'), metadata[key])
	}
	return append(b, '}')
}

func appendWaiter(b []byte, w lock.Waiting, how detail) []byte {
	b = strconv.AppendInt(append(b, `{"position":`...), int64(w.Position), 10)
	if w.Priority != lock.Normal {
		b = appendString(append(b, `,"priority":`...), w.Priority.String())
	}
	b = appendString(append(b, `,"account":`...), w.Account)
	b = appendString(append(b, `,"holder":`...), w.Holder)
	b = appendString(append(b, `,"reason":`...), w.Reason)
	b = appendTime(b, `,"since":`, w.Since)
	if how == whole {
		b = appendMetadata(b, w.Metadata)
	}
	if !w.KeptUntil.IsZero() {
		b = appendTime(append(b, `,"away":true`...), `,"kept_until":`, w.KeptUntil)
	}
	return append(b, '}')
}

func appendToken(b []byte, key string, t lock.Token) []byte {
	return strconv.AppendUint(append(b, key...), uint64(t), 10)
}

// appendMillis truncates to whole milliseconds: the remaining time of a lease may look shorter
// than it is, never longer.
func appendMillis(b []byte, key string, d time.Duration) []byte {
	return strconv.AppendInt(append(b, key...), d.Milliseconds(), 10)
}

// appendConfirm appends the time in which a lease has to be confirmed, if it has to be.
func appendConfirm(b []byte, d time.Duration) []byte {
	if d.Milliseconds() == 0 {
		return b
	}
	return appendMillis(b, `,"confirm_ms":`, d)
}

func appendTime(b []byte, key string, t time.Time) []byte {
	b = append(append(b, key...), '"')
	b = t.UTC().Truncate(time.Millisecond).AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendString appends s as a JSON string, escaped as encoding/json does it without
// HTML escaping.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = appendEscaped(append(b, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028':
			b = append(append(b, s[start:i]...), `\u2028`...)
			start = i + size
		case r == '\u2029':
			b = append(append(b, s[start:i]...), `\u2029`...)
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscaped(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
}

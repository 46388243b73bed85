package record

import (
	"bytes"
	"iter"

	"github.com/octostore/octostore/core/lock"
)

// Line is one line of a segment, without its newline, and its first members.
type Line struct {
	Seq   lock.Seq
	Time  []byte // see [TimeFormat]
	Kind  lock.Kind
	Name  []byte // empty: no lock
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

// Peek reads the first members of a line, which always come in the same order. Filters
// depend on its speed. ok is false if the line does not begin with these members.
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

// kindOf does not allocate for known kinds.
func kindOf(text []byte) lock.Kind {
	if k, ok := knownKinds[string(text)]; ok {
		return k
	}
	return lock.Kind(text)
}

// nextText reads a member whose text has no escapes.
func nextText(b []byte, member string) (text, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(b, []byte(member))
	if !ok {
		return nil, b, false
	}
	text, rest, ok = bytes.Cut(rest, []byte{'"'})
	return text, rest, ok
}

// Package sparselog limits log lines about events that outsiders can cause any number of
// times: one line per kind and minute, which says how often the event happened.
package sparselog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Every is the interval between two lines of a kind.
const Every = time.Minute

// mostKinds bounds how many kinds are told apart. All further ones count as one kind.
const mostKinds = 256

// Log is a rate-limited log. It writes the first line of a kind at once. It counts the
// lines that follow within a minute, and then writes the last of them with the count as
// "times". It is safe for use by many goroutines. Create one with [New], and close it at
// the end.
type Log struct {
	to *slog.Logger

	mu     sync.Mutex
	kinds  map[string]*kind
	closed bool
}

// kind is the state of a kind with a line in the last minute.
type kind struct {
	timer *time.Timer
	times int // since the last line
	last  line
}

type line struct {
	level slog.Level
	msg   string
	attrs []slog.Attr
}

// New returns a log that writes to a logger.
func New(to *slog.Logger) *Log { return &Log{to: to, kinds: map[string]*kind{}} }

// Log writes or counts a line. The caller decides which lines are of one kind.
func (l *Log) Log(level slog.Level, of, msg string, attrs ...slog.Attr) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	this := line{level, msg, attrs}
	if l.begins(of, this) {
		l.write(this, 1)
	}
}

// begins counts a line, or reports that the caller has to write it at once.
func (l *Log) begins(of string, this line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[of]
	if k == nil && len(l.kinds) >= mostKinds {
		of = "" // the kind of all others
		k = l.kinds[of]
	}
	if k != nil {
		k.times++
		k.last = this
		return false
	}
	if l.closed {
		return true
	}
	l.kinds[of] = &kind{timer: time.AfterFunc(Every, func() { l.sum(of) })}
	return true
}

// sum ends the minute of a kind: it writes the counted line and begins another minute, or
// forgets the kind.
func (l *Log) sum(of string) {
	l.mu.Lock()
	k := l.kinds[of]
	if k == nil {
		l.mu.Unlock()
		return // closed
	}
	last, times := k.last, k.times
	if k.times, k.last = 0, (line{}); times == 0 {
		delete(l.kinds, of)
	} else {
		k.timer.Reset(Every)
	}
	l.mu.Unlock()
	if times > 0 {
		l.write(last, times)
	}
}

func (l *Log) write(this line, times int) {
	if times > 1 {
		this.attrs = append(this.attrs, slog.Int("times", times))
	}
	l.to.LogAttrs(context.Background(), this.level, this.msg, this.attrs...)
}

// Close writes the counted lines. Later lines are written at once.
func (l *Log) Close() {
	l.mu.Lock()
	kinds := l.kinds
	l.kinds, l.closed = map[string]*kind{}, true
	for _, k := range kinds {
		k.timer.Stop()
	}
	l.mu.Unlock()
	for _, k := range kinds {
		if k.times > 0 {
			l.write(k.last, k.times)
		}
	}
}

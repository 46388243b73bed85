// Package sparselog writes log lines about what others can cause any number of times: of
// each kind one line a minute, which says how often it happened.
package sparselog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Every is how often there is a line of each kind.
const Every = time.Minute

// mostKinds bounds how many kinds are told apart. Further ones are one kind.
const mostKinds = 256

// Log is a log of this sort. The first line of a kind is written at once; those that come
// within a minute of it are counted, and at its end the last of them is written with the
// count, as "times". It is safe for use by many goroutines. Make one with [New], and close
// it at the end.
type Log struct {
	to *slog.Logger

	mu     sync.Mutex
	kinds  map[string]*kind
	closed bool
}

// kind is what is told apart, as long as there was a line of it in the last minute.
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

// Log writes or counts a line. Which lines are of a kind is up to the caller.
func (l *Log) Log(level slog.Level, of, msg string, attrs ...slog.Attr) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	this := line{level, msg, attrs}
	if l.begins(of, this) {
		l.write(this, 1)
	}
}

// begins counts a line, or reports that it is to be written at once.
func (l *Log) begins(of string, this line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[of]
	if k == nil && len(l.kinds) >= mostKinds {
		of = "" // all others
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

// sum is the end of the minute of a kind: what was counted is written and another one
// begins, or the kind is forgotten.
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

// Close writes what was counted. Lines after it are written at once.
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

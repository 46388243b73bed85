package hooks

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/hooks/abi"
)

// linesPerSecond bounds how many lines a policy may log in a second.
const linesPerSecond = 100

// logLines is what a policy logs itself, bounded in rate. Lines beyond that are counted,
// and a line says how many when there is room for it again. The zero value is ready for
// use by many goroutines.
type logLines struct {
	dropped atomic.Uint64 // lines, in all

	mu     sync.Mutex // held for moments only
	second int64      // that count is of
	count  int
	unsaid uint64      // dropped lines that no line has told of yet
	timer  *time.Timer // tells of them; nil: there are none
	closed bool
}

// allows reports whether there is room for a line now. What is not allowed is counted as
// dropped.
func (p *policy) allows(now time.Time) bool {
	l := &p.lines
	l.mu.Lock()
	if s := now.Unix(); s != l.second {
		l.second, l.count = s, 0
	}
	if l.count++; l.count <= linesPerSecond {
		l.mu.Unlock()
		return true
	}
	l.mu.Unlock()
	p.dropLine(now)
	return false
}

// dropLine counts a line that is not logged.
func (p *policy) dropLine(now time.Time) {
	l := &p.lines
	l.dropped.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaid++
	if l.timer == nil && !l.closed {
		l.timer = time.AfterFunc(now.Truncate(time.Second).Add(time.Second).Sub(now), p.tellDropped)
	}
}

// tellDropped logs how many lines were dropped since it was told last.
func (p *policy) tellDropped() {
	l := &p.lines
	l.mu.Lock()
	n := l.unsaid
	l.unsaid, l.timer = 0, nil
	l.mu.Unlock()
	if n > 0 {
		p.log.Warn(strconv.FormatUint(n, 10)+" lines were dropped", "at_most_a_second", linesPerSecond, "at_most_a_call", abi.MaxLogLines)
	}
}

// closeLines tells of the last lines that were dropped.
func (p *policy) closeLines() {
	l := &p.lines
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	p.tellDropped()
}

func (p *policy) logLine(level int32, text string) {
	if !p.allows(time.Now()) {
		return
	}
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	p.log.Log(context.Background(), levels[max(0, min(level, 3))], strconv.Quote(text))
}

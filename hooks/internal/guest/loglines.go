package guest

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/hooks/abi"
)

// LinesPerSecond is the limit of log lines of a policy in a second.
const LinesPerSecond = 100

// LogLines is the log of a policy, with a rate limit. It counts dropped lines, and logs their number in
// the next second. With a logger it is ready for use by many goroutines.
type LogLines struct {
	To *slog.Logger

	dropped atomic.Uint64 // lines, in all

	mu     sync.Mutex // held for moments only
	second int64      // that count is of
	count  int
	unsaid uint64      // dropped lines that were not reported yet
	timer  *time.Timer // reports them; nil: there are none
	closed bool
}

// Allows reports whether the rate limit allows a line. If not, it counts the line as dropped.
func (l *LogLines) Allows(now time.Time) bool {
	l.mu.Lock()
	if s := now.Unix(); s != l.second {
		l.second, l.count = s, 0
	}
	if l.count++; l.count <= LinesPerSecond {
		l.mu.Unlock()
		return true
	}
	l.mu.Unlock()
	l.Drop(now)
	return false
}

// Drop counts a dropped line.
func (l *LogLines) Drop(now time.Time) {
	l.dropped.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaid++
	if l.timer == nil && !l.closed {
		l.timer = time.AfterFunc(now.Truncate(time.Second).Add(time.Second).Sub(now), l.tellDropped)
	}
}

// tellDropped logs the number of dropped lines since the last report.
func (l *LogLines) tellDropped() {
	l.mu.Lock()
	n := l.unsaid
	l.unsaid, l.timer = 0, nil
	l.mu.Unlock()
	if n > 0 {
		l.To.Warn(strconv.FormatUint(n, 10)+" lines were dropped", "at_most_a_second", LinesPerSecond, "at_most_a_call", abi.MaxLogLines)
	}
}

// Close reports the last dropped lines.
func (l *LogLines) Close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.tellDropped()
}

func (l *LogLines) log(level int32, text string) {
	if !l.Allows(time.Now()) {
		return
	}
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	l.To.Log(context.Background(), levels[max(0, min(level, 3))], strconv.Quote(text))
}

// Dropped is the number of dropped lines.
func (l *LogLines) Dropped() uint64 { return l.dropped.Load() }

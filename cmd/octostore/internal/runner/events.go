package runner

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

// Event is one line of --json. Later versions may add events and members; those there are stay.
type Event struct {
	Event string `json:"event"` // one of the Kind constants
	Time  string `json:"time"`  // RFC 3339 in UTC, with milliseconds
	Lock  string `json:"lock"`

	WaitedMS int64 `json:"waited_ms,omitempty"` // waiting, granted: since the start
	// waiting: who has the lock, as far as it is known.
	Holder      string `json:"holder,omitempty"`
	Account     string `json:"account,omitempty"`
	HeldMS      int64  `json:"held_ms,omitempty"`       // for how long; in released: by us
	ExpiresInMS int64  `json:"expires_in_ms,omitempty"` // how long the lease runs without a renewal; in renew_failed: ours
	Position    int    `json:"position,omitempty"`      // our place in the queue, from 1
	Waiters     int    `json:"waiters,omitempty"`       // length of the queue

	FencingToken uint64 `json:"fencing_token,omitempty"` // granted
	TTLMS        int64  `json:"ttl_ms,omitempty"`        // granted
	PID          int    `json:"pid,omitempty"`           // started

	ExitCode *int   `json:"exit_code,omitempty"` // exited, unless by a signal
	Signal   string `json:"signal,omitempty"`    // exited, stopped: its name, such as SIGTERM

	Status *int   `json:"status,omitempty"` // ended: our own exit status
	By     string `json:"by,omitempty"`     // ended: whose status it is, command or octostore
	Error  string `json:"error,omitempty"`  // what went wrong, for people
}

// Kinds of events.
const (
	KindWaiting     = "waiting"      // the lock is not to be had yet: when something changes, and every 30 s
	KindGranted     = "granted"      // the lock is ours
	KindStarted     = "started"      // the command runs
	KindRenewFailed = "renew_failed" // a renewal failed, and is tried again
	KindLost        = "lost"         // the lease cannot be kept; the command gets SIGTERM
	KindExited      = "exited"       // the command has ended
	KindReleased    = "released"     // the lock is free again
	KindUnreleased  = "unreleased"   // the lease could not be released, or was over before
	KindEnded       = "ended"        // always the last one
)

// Kinds returns every kind of event, in the order in which they come.
func Kinds() []string {
	return []string{KindWaiting, KindGranted, KindStarted, KindRenewFailed, KindLost, KindExited, KindReleased, KindUnreleased, KindEnded}
}

// reporter writes events to the standard error, as sentences or as JSON. It is safe for use by
// many goroutines.
type reporter struct {
	lock  string
	json  bool
	quiet bool
	now   func() time.Time

	mu   sync.Mutex
	to   io.Writer // cleans what it writes
	line *line     // nil: not a terminal
}

// event writes one line of JSON, if that is wanted.
func (r *reporter) event(e Event) {
	if !r.json {
		return
	}
	e.Lock, e.Time = r.lock, r.now().UTC().Format("2006-01-02T15:04:05.000Z")
	text, err := json.Marshal(e)
	if err != nil {
		return // of texts and numbers: cannot be
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.to.Write(append(text, '\n')) // a reader that has left is no reason to end a command
}

// note says something to people that is no failure.
func (r *reporter) note(format string, args ...any) {
	if !r.quiet {
		r.warn(format, args...)
	}
}

// warn says something to people.
func (r *reporter) warn(format string, args ...any) {
	if r.json {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line.clear()
	fmt.Fprintf(r.to, "octostore: "+format+"\n", args...)
}

// draw shows a text on the living line, in place of the one before; empty: none.
func (r *reporter) draw(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text == "" {
		r.line.clear()
		return
	}
	r.line.draw(text)
}

// line is the last line of a terminal, which is written over and over. Nil is no line. It needs
// no control character but the carriage return.
type line struct {
	to    io.Writer  // the terminal itself
	width func() int // in columns
	shown int        // columns that have text
}

func newLine(w io.Writer) *line {
	return &line{to: terminal.Raw(w), width: func() int { return terminal.Width(w) }}
}

func (l *line) draw(text string) {
	if l == nil {
		return
	}
	text, columns := clip(text, l.width()-1)
	fmt.Fprintf(l.to, "\r%s%*s", text, max(0, l.shown-columns), "")
	if columns < l.shown { // the cursor belongs behind the text
		fmt.Fprintf(l.to, "\r%s", text)
	}
	l.shown = columns
}

func (l *line) clear() {
	if l == nil || l.shown == 0 {
		return
	}
	fmt.Fprintf(l.to, "\r%*s\r", min(l.shown, max(0, l.width()-1)), "")
	l.shown = 0
}

// clip returns the beginning of a text that fits into some columns, and how many it takes at
// most: a character of scripts that may be wide counts as two.
func clip(text string, most int) (string, int) {
	columns := 0
	for i, r := range text {
		width := 1
		if r >= 0x1100 {
			width = 2
		}
		if columns+width > most {
			return text[:i], columns
		}
		columns += width
	}
	return text, columns
}

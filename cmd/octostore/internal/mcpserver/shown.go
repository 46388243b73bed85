package mcpserver

import (
	"fmt"
	"strings"

	"github.com/octostore/octostore/transport/api"
)

// shown is the answer to show and list.
type shown struct {
	Locks   []lockState `json:"locks"`
	More    bool        `json:"more,omitempty"` // there are more than the limit
	Code    string      `json:"code,omitempty"`
	Message string      `json:"message,omitempty"` // what went wrong
	Notices []string    `json:"notices,omitempty"`

	problem outcome
}

// lockState is one lock.
type lockState struct {
	Lock    string   `json:"lock"`
	State   string   `json:"state"`           // free or held
	Yours   string   `json:"yours,omitempty"` // held or waiting, by this session
	HeldBy  *holder  `json:"held_by,omitempty"`
	Waiters int      `json:"waiters"`         // length of the queue
	Queue   []waiter `json:"queue,omitempty"` // its first places
}

// waiter is one place in a queue.
type waiter struct {
	Position int    `json:"position"`
	Holder   string `json:"holder"`
	Account  string `json:"account"`
	Reason   string `json:"reason,omitempty"`
}

func (s shown) failed() bool { return s.problem.Message != "" }

func (s shown) withNotices(notices []string) answer {
	s.Notices, s.Code, s.Message = notices, s.problem.Code, s.problem.Message
	return s
}

func (s shown) text() string {
	if s.failed() {
		return s.problem.Message
	}
	if len(s.Locks) == 0 {
		return "No lock is held or waited for."
	}
	var lines []string
	for _, l := range s.Locks {
		lines = append(lines, l.text())
	}
	if s.More {
		lines = append(lines, "There are more; narrow the prefix.")
	}
	return strings.Join(lines, "\n")
}

func (l lockState) text() string {
	var b strings.Builder
	switch {
	case l.Yours == standingHeld && l.HeldBy != nil:
		fmt.Fprintf(&b, "%s is held by you, with fencing token %d", l.Lock, l.HeldBy.FencingToken)
	case l.HeldBy != nil:
		b.WriteString(l.HeldBy.sentence(l.Lock))
	default:
		fmt.Fprintf(&b, "%s is %s", l.Lock, l.State)
	}
	if l.Waiters > 0 {
		fmt.Fprintf(&b, "; %d waiting", l.Waiters)
	}
	if l.Yours == standingWaiting {
		b.WriteString(", you among them")
	}
	b.WriteString(".")
	for _, w := range l.Queue {
		fmt.Fprintf(&b, "\n  %d. %q (account %s)", w.Position, w.Holder, w.Account)
		if w.Reason != "" {
			fmt.Fprintf(&b, ", whose reason is %q", w.Reason)
		}
	}
	return b.String()
}

func stateOf(l api.Lock) lockState {
	s := lockState{Lock: l.Name, State: string(l.State), HeldBy: holderOf(l.Lease), Waiters: l.WaitersTotal}
	for _, w := range l.Waiters {
		s.Queue = append(s.Queue, waiter{Position: w.Position, Holder: w.Holder, Account: w.Account, Reason: w.Reason})
	}
	return s
}

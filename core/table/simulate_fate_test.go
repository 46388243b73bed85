package table_test

import (
	"time"

	"github.com/octostore/octostore/core/lock"
)

// fate is what became of the answers with a lease.
type fate struct {
	answers, lost int
	noticed       time.Time // that the newest lost one was
	arrived       bool      // one did
}

func (w *world) fateOf(l *lock.Lease) *fate {
	f := w.fates[l.Token]
	if f == nil {
		f = &fate{}
		w.fates[l.Token] = f
		if !l.GrantedAt.After(w.opened) {
			f.answers++ // before the restart
		}
	}
	return f
}

// judge looks at the ends of leases: one that a client has is not undone, and one that no
// client can have does not stay for its ttl.
func (w *world) judge(ends []ending) {
	for _, e := range ends {
		f := w.fates[e.token]
		if f == nil {
			continue
		}
		since := w.calm
		if f.noticed.After(since) {
			since = f.noticed
		}
		switch {
		case e.kind == "undone" && f.arrived:
			w.wrong("invariant 10: token %d is undone, although an answer with it arrived", e.token)
		case e.kind == "expired" && !f.arrived && f.answers == f.lost && e.at.Sub(since) > 15*time.Second:
			w.wrong("token %d stayed to its end, although all %d answers with it were lost", e.token, f.lost)
		}
	}
}

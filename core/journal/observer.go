package journal

import "github.com/octostore/octostore/core/lock"

// ObserverCursor is how far an observer has read a journal, as it is kept over restarts.
type ObserverCursor struct {
	Observer string
	After    lock.Seq // every event up to this one is done
	Parked   uint64   // events the observer failed on and skipped
}

package journal

import "github.com/octostore/octostore/core/lock"

// Place is how far an observer of a journal has come, as it is kept over restarts.
type Place struct {
	Observer string
	After    lock.Seq // everything up to this event is done
	Parked   uint64   // events that were given up on the way
}

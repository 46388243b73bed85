package lock

// Rules are the limits of a set of locks, and what is recorded of them. The zero value
// is useful.
type Rules struct {
	MaxWaiters        int // in all; default 50,000
	MaxWaitersPerLock int // default 10,000
	MaxPerAccount     int // locks an account may hold and wait for; default 0: no limit
	// MaxWaitersPerAccount is how many requests of an account may wait, those who keep a
	// place without being there included; default 0: no limit.
	MaxWaitersPerAccount int
	Unlimited            string // the account that has no limits of its own; empty: none
	Level                Level
}

// Level is how much is recorded besides the changes.
type Level int

// Levels, each with what is recorded at the one before.
const (
	Decisions Level = iota // the default: also what policies refused, and notices
	Changes                // only what changes a lease
	All                    // also refusals because a lock is held, and waiters who left
)

func (l Level) records(k Kind) bool {
	switch k {
	case Granted, Renewed, Released, Expired, Broken, Undone:
		return true
	case Conflict, Abandoned:
		return l == All
	case Denied, PolicyError:
		return l != Changes
	}
	return true
}

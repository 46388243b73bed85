package guest

import (
	"errors"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// OutOfFuel is the kind of fault of a call that has used up its fuel.
const OutOfFuel = "out_of_fuel"

// Fault is why a policy could not answer.
type Fault struct {
	Kind string // out_of_fuel, trap, result, start, configure, config, or one of the host's
	Err  error
}

func (f *Fault) Error() string { return f.Kind + ": " + f.Err.Error() }

// Unwrap returns the error without its kind.
func (f *Fault) Unwrap() error { return f.Err }

// maxFault bounds the text of a fault, in bytes: it goes into the log and the audit log.
const maxFault = 1 << 10

// printable makes an error of the runtime printable, because a guest can influence its text.
func printable(err error) error { return errors.New(Printable([]byte(err.Error()), maxFault)) }

// Answer is the result of one call.
type Answer struct {
	Denies       bool
	Reason       string
	Retry        time.Duration
	TTL          time.Duration // cap; 0: none
	Wait         time.Duration // cap, where CapsWait
	CapsWait     bool
	Priority     lock.Priority // where SetsPriority
	SetsPriority bool
	Notes        []lock.Note
	Fuel         int64
	Wasted       int64 // fuel of an earlier call that this one of a fresh instance replaces
	Fault        *Fault
}

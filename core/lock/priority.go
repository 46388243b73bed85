package lock

import (
	"time"

	"github.com/tidwall/btree"
)

// Priority is the class of a waiter. The queue of a lock is served class by class, from
// [Front] to [Back], and within a class first come, first served. It never takes a lease
// away from its holder, and a request that does not wait has none. The zero value is
// [Normal]; other values than the three are not allowed.
type Priority int8

// Priorities. The words for them are part of the audit format.
const (
	Front  Priority = 1
	Normal Priority = 0
	Back   Priority = -1
)

// classes is how many priorities there are.
const PriorityCount = 3

// Priorities returns all priorities in the order in which they are served.
func Priorities() []Priority { return []Priority{Front, Normal, Back} }

// String returns front, normal or back.
func (p Priority) String() string {
	switch {
	case p > Normal:
		return "front"
	case p < Normal:
		return "back"
	}
	return "normal"
}

// class is the index of a priority among those of a queue, the first served first.
func (p Priority) class() int { return int(Front - p) }

// sinces are the instants since which the waiters of one class wait, by their order of
// arrival: that of the first is the start of the longest wait. A waiter that was put back
// has its old place here, too.
type sinces struct {
	btree.Map[uint64, time.Time]
}

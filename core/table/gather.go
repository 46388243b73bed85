package table

import (
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A crowd is how many commands each of the last batches had.
type crowd struct {
	sizes [3]int
	next  int
}

// took counts a batch of n commands.
func (c *crowd) took(n int) {
	c.sizes[c.next] = n
	c.next = (c.next + 1) % len(c.sizes)
}

// half returns half of the commands of the last batches.
func (c *crowd) half() int { return (c.sizes[0] + c.sizes[1] + c.sizes[2]) / 2 }

const (
	gatherLeast = 16                     // commands that are worth a wait
	gatherMost  = 200 * time.Microsecond // of a wait; the runtime adds up to 1 ms in an idle process
)

// gather waits a moment for the next batch to grow if many callers ask again and again, as
// databases do that have a commit delay. A commit costs the processor as much as several
// commands, whatever its size, and callers who come back while one is under way fall apart
// into ever smaller groups: with 64 callers a batch had 21 of them. Half of a crowd is
// enough, so that the other half is served while the disk syncs. A few callers never wait.
func (t *Table) gather(timer *time.Timer) {
	wanted := min(t.crowd.half(), lock.BatchSteps)
	if wanted < gatherLeast || len(t.pending) > 0 || len(t.left) > 0 || !t.inbox.await(wanted) {
		return
	}
	timer.Reset(gatherMost)
	select {
	case <-t.inbox.wake:
	case <-timer.C:
	}
}

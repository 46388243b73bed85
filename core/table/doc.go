// Package table feeds the machine of [lock.Machine]: a [Table] is a set of locks that many
// goroutines use at once.
//
// Its loop is one goroutine. It takes the requests that have come, lets the machine
// decide them, has a [Store] make the decided events durable, and answers. While one
// batch is on its way to the disk the next one gathers.
//
// # Promises of the loop
//
//   - Decide, commit, publish, answer, in that order: the events of a batch are durable
//     before a view shows them or an answer leaves, and the views show them before
//     anybody is answered (invariant 3 of package lock).
//   - Requests are decided in the order in which they arrived; what leaves is decided
//     before what comes.
//   - Every request is answered exactly once: by the loop, or, where a commit hangs, by
//     its own caller with [lock.ErrOutcomeUnknown]. A lease that the loop grants to such a
//     caller afterwards is undone.
//   - Whether a waiter has to be called before it gets a lock (see Config.Rechecks) is
//     decided by the loop just before the step of the machine that may give the lock. An
//     answer that changes later counts for the next step.
//   - After a commit of unknown outcome nothing more is decided, published or granted.
//
// # Concurrency
//
// All methods of a [Table] are safe for use by many goroutines. [Table.Get] and
// [Table.List] read published views: they wait neither for the loop nor for the disk.
package table

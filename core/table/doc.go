// Package table feeds the machine of [lock.Machine]: a [Table] is a set of locks that many
// goroutines use at once.
//
// Its loop is one goroutine. It takes the requests that have arrived, lets the machine
// decide them, has a [Store] make the events durable, and answers. Requests that arrive
// during a commit form the next batch.
//
// # Promises of the loop
//
//   - Decide, commit, publish, answer, in that order: the events of a batch are durable
//     before a view shows them, and the views show them before an answer leaves
//     (invariant 3 of package lock).
//   - Requests are decided in the order in which they arrived; departures are decided
//     before them.
//   - Every request is answered exactly once: by the loop, or, if a commit hangs, by its
//     own caller with [lock.ErrOutcomeUnknown]. A lease that the loop grants to such a
//     caller afterwards is undone.
//   - The loop asks Config.Rechecks just before the step of the machine that may give the
//     lock to a waiter. A later change of its answer counts for the next step.
//   - After a commit of unknown outcome nothing more is decided, published or granted.
//   - Once another process may own the table, nothing more is decided, and no answer is given
//     that another process can have made untrue: [Table.Depose], Config.Owns.
//
// # Concurrency
//
// All methods of a [Table] are safe for use by many goroutines. [Table.Get] and
// [Table.List] read published views: they wait neither for the loop nor for the disk.
package table

// Package lock is the heart of OctoStore: named locks, leases with an end, fencing
// tokens, and fair queues, on one timeline.
//
// A [Machine] holds a set of names and the rules by which they change. It is pure: it takes
// commands and instants, and leaves events and answers. It does no I/O, reads no clock,
// starts no goroutine, and shares nothing: the same commands at the same instants give the
// same events. Package table feeds it, makes its events durable, and answers.
//
// # Invariants
//
// Tests cite these by number.
//
//  1. At every instant of the table's time at most one lease of a name is live. A
//     grant happens only when the name is free.
//  2. The token of a lease is the sequence number of its granting event. Sequence
//     numbers only grow, over restarts too, and none is used twice.
//  3. Decide, persist, tell: an answer leaves only after the commit of the batch it
//     was decided in, and a published view shows only what is committed. No answer
//     gives a lease that has ended by then.
//  4. A lease ends by release, expiry, break or undo and by nothing else. It expires
//     at or after its deadline, never before; a renewal never brings the deadline
//     nearer; nothing is done to a lease after its end. The deadline of an unconfirmed
//     lease is the end of the time to confirm it; its first renewal confirms it, and the
//     deadline is then at least the granted ttl away. Nothing else confirms a lease or
//     moves its deadline, neither a repeat of its attempt nor a restart.
//  5. First come, first served within a priority, and the priorities from the front to
//     the back: a free lock goes, in the commit that freed it, to the first listening
//     waiter in this order, or that waiter is called. A waiter that comes while another
//     is called waits for the answer to the call, and then counts. The priority belongs
//     to the place: it does not change while the attempt keeps the place, by no repeat
//     and no absence. A try never passes a listening waiter of any priority. Where
//     waiters are too many, absent ones lose their places, the longest absent first; a
//     listening one never does. Only a break may take the lock ahead of them, in the
//     same commit.
//  6. A waiter that is known to have left is never granted the lock. Every request is
//     answered exactly once.
//  7. A refused batch leaves nothing behind: leases, deadlines and counts are as they
//     were before it, and the waiters still wait in the same order, each with its
//     priority.
//  8. An attempt (idempotency key) has at most one place in a queue and at most one
//     lease for as long as it is remembered: while it waits, while its lease lives,
//     and for ten minutes after its end or the last 262,144 ends, but not over a
//     restart.
//  9. Only the account that acquired a lease can renew or release it, and only with
//     its lease id; to release it, the idempotency key of the acquire will do, too.
//  10. A lease is undone only when every answer with it is known to be lost, and its
//     holder has not shown its lease id: a lease that was delivered is never undone. A
//     refused batch forgets nothing of this. After a restart every lease may have been
//     delivered.
//  11. The counts of leases, of waiters, of both per account, and of waiters per
//     priority are exact, and no limit is passed, except by waiters that are put back
//     because their batch was refused.
//
// # Time
//
// Commands carry the instant of their arrival, and the machine's now is the greatest
// it has seen. So a renewal that arrived before the deadline wins even if the loop
// gets to it later. Leases run on the monotonic clock: setting the wall clock changes
// nothing.
//
// # Words
//
//   - Lock: a name. It is free, or one lease holds it.
//   - Lease: a hold of a lock with a deadline. Its holder is free text that says which
//     process has it; its account answers for it.
//   - Token: the fencing token of a lease, see invariant 2. Lease id: the secret that proves
//     the hold; package table makes it.
//   - Attempt: what an idempotency key identifies, over several requests. Key and account
//     release the lease of the attempt; they do not show that an answer with it arrived.
//   - Waiter: an attempt or a request in the queue of a lock. Its place is where it stands;
//     its listener is the request that is answered. Its state is one of
//     listening, called, late and absent; file waiter.go has the table of states.
//   - Turn: a waiter is the first that listens, and the lock is free. Call: the message that
//     its turn has come, sent where the request has to be looked at again. Claim: its yes.
//   - Hand-over: a free lock is given to a waiter, or the waiter is called.
//   - Departure: a request does not listen any more, because its wait is over, its client
//     hung up, or policies declined.
//   - Delivery: whether an answer with a lease reached its client. It is lost or arrived; a
//     lease without an answer that may arrive is undone.
//   - Batch: what is decided between two commits. It is accepted, or taken back.
//   - Step: the smallest thing the machine does for a batch. It concerns one lock.
package lock

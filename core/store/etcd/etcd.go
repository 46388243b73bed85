// Package etcd keeps one table in etcd, so that several nodes can serve it one after the
// other. A [Cluster] is a node's connection: it knows who serves, and takes the term. A
// [Store] is the table for as long as the term lasts.
//
// # Invariants
//
//  1. A batch is committed by one transaction that demands the term of its writer and the
//     head it builds on. So the commits of a term are a chain, and none is applied twice.
//  2. Once a term has ended, no transaction of it can be applied, however late it arrives:
//     the create revision of its key never comes again, and every guard compares it.
//  3. Whether a transaction without an answer was applied is decided by the segment it would
//     have written, never by the head.
//  4. A term is trusted only until the end of its lease at etcd, on a clock that counts
//     pauses, and less a margin.
//  5. A lease runs again at every take for what its row still promises: late, never early.
package etcd

// Package locktest holds a lock service to its promises from the outside: clients
// work on a few locks at once ([Workload]), everything they asked and were told is
// recorded ([History]), and [History.Check] looks for one order of events, within the
// intervals of the requests, in which a sequential service could have given the same
// answers (linearizability). It is for tests.
//
// # Answers that never came
//
// A request whose answer was lost may have been done at any time from its beginning,
// or never, or not yet. Instead of trying all cases, the model is lazy. A lease that no
// client was told of may be undone at any time, so until a client sees it, it looks like a
// free lock. Once a client sees it, it began at some time after the request that must have
// caused it. Likewise, after an unanswered release or break the lease may be over. So
// requests without an answer change no state of the model; they only permit the answers
// to later requests.
//
// # Time
//
// The order of requests is that of a counter, read at their beginning and their end.
// Instants serve for deadlines only, and are bounds: a lease may lapse from the earliest
// instant its deadline can be at, and must not be of use to a request that began after
// the latest one. Across a restart there is no latest one: a lease may end late.
package locktest

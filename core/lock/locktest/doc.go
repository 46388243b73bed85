// Package locktest holds a lock service to its promises from the outside: clients
// work on a few locks at once ([Workload]), everything they asked and were told is
// recorded ([History]), and [History.Check] looks for one order of events, within the
// intervals of the requests, in which a single careful clerk could have given the very
// same answers (linearizability). It is for tests.
//
// # Answers that never came
//
// A request whose answer was lost may have been done at any time from its beginning,
// or never, or not yet. Instead of trying all of that, the model is lazy. A lease
// no client was told of may be taken back at any time, so as long as no client has seen it, it
// cannot be told from a free lock. Once a client sees it, it began at some time after
// the request that must have caused it. Likewise, from the moment a client asked for
// the end of a lease without hearing how that went, the lease may be over. So requests
// without an answer change no state of the model; they only permit what others see.
//
// # Time
//
// The order of requests is that of a counter, read at their beginning and their end.
// Instants serve for deadlines only, and are bounds: a lease may lapse from the earliest
// instant its deadline can be at, and must not be of use to a request that began after
// the latest one. Across a restart there is no latest one: a lease may end late.
package locktest

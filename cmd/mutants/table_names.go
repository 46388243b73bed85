package main

// inGuest is the SDK of policies.
var inGuest = []string{"-short ./plugins/guest"}

// nameMutants break what a name may be, where it is read, and what is shown of a queue.
var nameMutants = []mutant{
	{
		name: "dots-in-a-name", file: "core/lock/name.go",
		old:    ` && s != "." && s != ".."`,
		new:    ``,
		breaks: "a name may have a segment that paths are cut at",
		tests:  inLock,
	},
	{
		name: "get-of-a-verb-does-it", file: "transport/routes.go",
		old:    `		if !rt.answers(r.Method) {`,
		new:    `		if r.Method == http.MethodDelete {`,
		breaks: "a curl without -X POST gets a 200 from acquire",
		tests:  inTransport,
	},
	{
		name: "plus-is-a-space", file: "transport/internal/param/lock.go",
		old:    `if !strings.Contains(text, " ") {`,
		new:    `if true || !strings.Contains(text, " ") {`,
		breaks: "a plus in a query that was not encoded is a riddle",
		tests:  inTransport,
	},
	{
		name: "scope-behind-a-comma", file: "core/auth/scope.go",
		old:    `	return s, misplacedVerb(patterns)`,
		new:    `	return s, nil`,
		breaks: "a scope that begins behind a comma is taken for a name and never allows anything",
		tests:  inAuth,
	},
	{
		name: "away-not-shown", file: "core/lock/waiter.go",
		old:    "	if w.state == absent {\n		place.KeptUntil",
		new:    "	if false {\n		place.KeptUntil",
		breaks: "a waiter whose client is gone looks like one that is there",
		tests:  inLock,
	},
	{
		name: "away-not-published", file: "core/lock/leaving.go",
		old:    "		m.move(w, absent)\n		m.touch(e)\n",
		new:    "		m.move(w, absent)\n",
		breaks: "a read does not see that a waiter has left",
		tests:  inLock,
	},
	{
		name: "last-page-of-the-queue", file: "transport/internal/wire/lock.go",
		old:    `v.Queue[n-1].Position < v.Waiters`,
		new:    `v.Queue[n-1].Position < v.Waiters-1`,
		breaks: "the last waiter is on no page",
		tests:  inTransport,
	},
	{
		name: "metadata-in-every-listing", file: "transport/internal/wire/lock.go",
		old:    `	if how == whole {`,
		new:    `	if true {`,
		breaks: "a listing carries the metadata of every waiter",
		tests:  inTransport,
	},
	{
		name: "guest-deep-multiplies", file: "plugins/guest/match.go",
		old:    `		from = rest`,
		new:    `		from = rest[:0]`,
		breaks: "a guest matches less than policies.json does",
		tests:  inGuest,
	},
}

package main

// termMutants break the end of a term: another process may own the table from then on.
var termMutants = []mutant{
	{
		name: "term-not-asked-after-the-commit", file: "core/table/loop.go",
		old:    "		err = t.lost()\n",
		new:    "",
		breaks: "a client is told of a commit that the next owner may have changed since",
		tests:  inTable,
	},
	{
		name: "term-not-asked-before-the-batch", file: "core/table/loop.go",
		old:    "	if !t.Owns() {\n",
		new:    "	if t.deposed.Load() {\n",
		breaks: "a table decides although another process may own it",
		tests:  inTable,
	},
	{
		name: "term-lost-taken-for-a-stop", file: "core/table/depose.go",
		old:    "	if t.moving.Load() {\n",
		new:    "	if t.refusing.Load() {\n",
		breaks: "waiters of a table that has moved are told that the server stops",
		tests:  inTable,
	},
	{
		name: "term-outcome-taken-for-moved", file: "core/table/depose.go",
		old:    "	if len(t.m.Events()) > 0 {\n",
		new:    "	if false {\n",
		breaks: "a change that is durable is answered as if nothing had been done",
		tests:  inTable,
	},
	{
		name: "term-waits-for-its-last-commit", file: "core/table/depose.go",
		old:    "		t.stopBegin()\n",
		new:    "",
		breaks: "the end of a term waits for a commit that may hang",
		tests:  inTable,
	},
}

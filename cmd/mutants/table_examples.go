package main

const (
	pythonLock = "sdk-examples/locks/python/lock.py"
	fences     = "sdk-examples/locks/fencing/"
)

// inExample returns the argument for a scenario of the example in Python.
func inExample(scenario string) []string {
	return []string{"-run=TestLockExamples/python/" + scenario + " ./cmd/octostore/internal/examples"}
}

// exampleMutants break a client that people copy, and the writes guarded by fencing tokens.
var exampleMutants = []mutant{
	{
		name: "example-any-answer", file: pythonLock,
		old:    `answer["fencing_token"] and (verb`,
		new:    `(answer or verb`,
		breaks: "an answer without a token is a grant",
		tests:  inExample("takes_nothing_else"),
	},
	{
		name: "example-redirects", file: pythonLock,
		old:    "urllib.request.build_opener(_AnyAnswer)",
		new:    "urllib.request.build_opener()",
		breaks: "redirects are followed",
		tests:  inExample("takes_nothing_else"),
	},
	{
		name: "example-unconfirmed", file: pythonLock,
		old:    "        while not self._renew():",
		new:    "        while False:",
		breaks: "the work starts on a lease that was not renewed",
		tests:  inExample("stops_before"),
	},
	{
		name: "example-no-margin", file: pythonLock,
		old:    "self._end - min(5.0, self._span / 6) - now()",
		new:    "self._end - now()",
		breaks: "the work goes on until another client can have the lock",
		tests:  inExample("stops_before"),
	},
	{
		name: "example-many-attempts", file: pythonLock,
		old:    "            sent, left = now(), max(0.0, give_up - now())\n",
		new:    "            sent, left, key = now(), max(0.0, give_up - now()), uuid.uuid4().hex\n",
		breaks: "each request is an attempt of its own, and loses the place",
		tests:  inExample("keeps_its_place"),
	},
	{
		name: "fence-of-postgres", file: fences + "postgres.sql",
		old:    "        WHERE f.token <= excluded.token;",
		new:    "        WHERE true;",
		breaks: "PostgreSQL accepts stale fencing tokens",
		tests:  []string{"-run=TestFencingInPostgres ./cmd/octostore/internal/examples"},
	},
	{
		name: "fence-of-sqlite", file: fences + "sqlite.sql",
		old:    "WHEN new.token < old.token\n",
		new:    "WHEN new.token < old.token - 1\n",
		breaks: "SQLite accepts a token that is one too low",
		tests:  []string{"-run=TestFencingInSQLite ./cmd/octostore/internal/examples"},
	},
}

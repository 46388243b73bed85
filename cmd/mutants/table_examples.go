package main

const (
	pythonLock = "sdk-examples/locks/python/lock.py"
	fences     = "sdk-examples/locks/fencing/"
)

// inExample returns the argument for a scenario of the example in Python: a quick one, or
// one of TestLockExamples.
func inExample(scenario string) []string {
	return []string{"-run=TestLockExampleInPython/" + scenario + "|TestLockExamples/python/" + scenario +
		" ./cmd/octostore/internal/examples"}
}

// exampleMutants break a client that people copy, and the writes guarded by fencing tokens.
var exampleMutants = []mutant{
	{
		name: "example-any-answer", file: pythonLock,
		old:    "if status == 200 and all(",
		new:    "if status == 200 and any(",
		breaks: "an answer without the time that it is for is a grant",
		tests:  inExample("takes_nothing_else"),
	},
	{
		name: "example-any-status", file: pythonLock,
		old:    "        if status == 200 and all(isinstance(answer.get(member), kind) for member, kind in wanted.items()):",
		new:    "        if status < 400:",
		breaks: "a redirect is a grant",
		tests:  inExample("takes_nothing_else"),
	},
	{
		name: "example-unverified", file: pythonLock,
		old:    "self._connect = http.client.HTTPSConnection if",
		new:    "self._connect = (lambda host, timeout: http.client.HTTPSConnection(host, timeout=timeout, context=__import__(\"ssl\")._create_unverified_context())) if",
		breaks: "any certificate is trusted",
		tests:  inExample("trusts_no"),
	},
	{
		name: "example-unconfirmed", file: pythonLock,
		old:    "        while not self._renew():",
		new:    "        self._due, self._tick = 0, 1\n        while False:",
		breaks: "the work starts on a lease that was not renewed",
		tests:  inExample("stops_before"),
	},
	{
		name: "example-no-margin", file: pythonLock,
		old:    "sent + span - min(5.0, span / 6)",
		new:    "sent + span",
		breaks: "the work goes on until another client can have the lock",
		tests:  inExample("stops_before"),
	},
	{
		name: "example-counts-from-the-answer", file: pythonLock,
		old:    "        span = (grant",
		new:    "        sent = now()\n        span = (grant",
		breaks: "the lease counts from its answer, which may be late",
		tests:  inExample("stops_before"),
	},
	{
		name: "example-many-attempts", file: pythonLock,
		old:    "            sent = now()\n            slice_ =",
		new:    "            sent, key = now(), uuid.uuid4().hex\n            slice_ =",
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

// inJobs returns the argument for some tests of the recipes for systems that run jobs.
func inJobs(tests string) []string {
	return []string{"-short -run=TestRecipeFor(" + tests + ") ./cmd/octostore/internal/recipes"}
}

// jobMutants break the recipes for systems that run jobs, and what only they need.
var jobMutants = []mutant{
	{
		name: "job-shell-keeps-signals", file: "sdk-examples/recipes/github-actions/deploy.yml",
		old:    "        run: exec octostore run",
		new:    "        run: true && octostore run",
		breaks: "a cancelled workflow ends the shell of the step only",
		tests:  inJobs("GitHubActionsIsCancelled"),
	},
	{
		name: "job-checksum-unchecked", file: "sdk-examples/recipes/github-actions/deploy.yml",
		old:    "sha256sum -c -",
		new:    "cat",
		breaks: "a binary with another checksum is run",
		tests:  inJobs("GitHubActionsInstalls"),
	},
	{
		name: "job-runs-twice", file: "sdk-examples/recipes/cron/crontab",
		old:    " --min-hold 2m",
		new:    "",
		breaks: "a short job runs again on a machine whose clock is late",
		tests:  inJobs("CronRunsOnce"),
	},
	{
		name: "job-skip-is-not-silent", file: "cmd/octostore/run.go",
		old:    "	if r.Quiet && err != nil && exitcode.Of(err) == 0 {\n",
		new:    "	if false {\n",
		breaks: "cron sends a mail for each run that another machine does",
		tests:  inJobs("CronSkips"),
	},
	{
		name: "job-first-process-exits-with-2", file: "cmd/octostore/internal/runner/signals_unix.go",
		old:    " || os.Getpid() == 1 {",
		new:    " {",
		breaks: "in a container, a run that SIGTERM stops while it waits exits with 2",
		tests:  inJobs("KubernetesIsStoppedWhileItWaits"),
	},
	{
		name: "job-pasted-line-break", file: "cmd/octostore/internal/session/server.go",
		old:    `token: strings.TrimSpace(os.Getenv("OCTOSTORE_TOKEN"))`,
		new:    `token: os.Getenv("OCTOSTORE_TOKEN")`,
		breaks: "a secret that was pasted with its line break is refused",
		tests:  []string{"-short -run=TestServerTrims ./cmd/octostore/internal/session"},
	},
}

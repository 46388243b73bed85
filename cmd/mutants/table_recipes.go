package main

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

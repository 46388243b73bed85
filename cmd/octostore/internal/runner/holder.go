package runner

import (
	"fmt"
	"os"
	"os/user"
	"unicode/utf8"
)

// longestHolder is the longest holder a server takes, in bytes.
const longestHolder = 256

// DefaultHolder names this process for people: the URL of the CI job where the variables of
// GitHub Actions, GitLab, Jenkins or Buildkite give it, and user@host:pid elsewhere. getenv is
// [os.Getenv].
func DefaultHolder(getenv func(string) string) string {
	if job := ciJob(getenv); job != "" && len(job) <= longestHolder && utf8.ValidString(job) {
		return job
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	holder := fmt.Sprintf("%s@%s:%d", userName(getenv), host, os.Getpid())
	if len(holder) > longestHolder || !utf8.ValidString(holder) {
		return fmt.Sprintf("pid %d", os.Getpid())
	}
	return holder
}

// ciJob returns the URL of the CI job that this process is part of, or nothing.
func ciJob(getenv func(string) string) string {
	repository, run := getenv("GITHUB_REPOSITORY"), getenv("GITHUB_RUN_ID")
	switch {
	case getenv("GITHUB_ACTIONS") == "true" && repository != "" && run != "":
		return getenv("GITHUB_SERVER_URL") + "/" + repository + "/actions/runs/" + run
	case getenv("GITLAB_CI") == "true":
		return getenv("CI_JOB_URL")
	case getenv("JENKINS_URL") != "":
		return getenv("BUILD_URL")
	case getenv("BUILDKITE") == "true" && getenv("BUILDKITE_JOB_ID") != "":
		return getenv("BUILDKITE_BUILD_URL") + "#" + getenv("BUILDKITE_JOB_ID")
	}
	return ""
}

// userName prefers the variables, which cron and systemd set, too: they cost no look into the
// list of users.
func userName(getenv func(string) string) string {
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if value := getenv(name); value != "" {
			return value
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

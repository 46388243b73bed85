package recipes_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A Jenkins that aborts a build sends SIGTERM to all processes that have its cookie in their
// environment, in no order.
func TestRecipeForJenkinsIsAborted(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash")
	s := newSite(t)
	line := shStep(t, s, "deploy.sh")
	cookie := "JENKINS_SERVER_COOKIE=durable-" + filepath.Base(filepath.Dir(s.bin))
	if err := os.Symlink(octotest.Binary(t), filepath.Join(s.work, "octostore")); err != nil {
		t.Fatal(err)
	}
	r := s.start(t, []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", cookie, "BUILD_URL=https://jenkins.example/job/app/4711/", "JENKINS_URL=https://jenkins.example/",
		"OCTOSTORE_URL=http://" + s.Addr, "OCTOSTORE_TOKEN=" + jobToken,
	}, "sh", "-xe", "-c", line)
	lock := r.runs(t, "deploy/prod", "deploy.sh")
	if want := "https://jenkins.example/job/app/4711/"; !strings.Contains(lock.Lease.Holder, want) {
		t.Errorf("the holder is %q, want %q", lock.Lease.Holder, want)
	}
	for _, process := range processesWith(cookie) {
		_ = syscall.Kill(process, syscall.SIGTERM) // ended already: fine
	}
	<-r.done
	octotest.WaitWithin(t, octotest.Promptly, "no process of the build is left", func() bool { return len(processesWith(cookie)) == 0 })
	s.expectFree(t, "deploy/prod")
}

// Some executors of GitLab send SIGKILL to the process group of the job, and nothing before.
func TestRecipeForGitLabIsKilled(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "sha256sum")
	s := newSite(t)
	r, _ := startGitLab(t, s, "sh", same)
	r.runs(t, "deploy/prod", "deploy.sh")
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.done
	mark := "OCTOSTORE_URL=http://" + s.Addr
	octotest.WaitWithin(t, octotest.Promptly, "no process of the job is left", func() bool { return len(processesWith(mark)) == 0 })
}

// shStep returns the script of the sh step of the Jenkinsfile that runs a program.
func shStep(t *testing.T, s *site, program string) string {
	t.Helper()
	for line := range strings.Lines(s.recipe(t, "jenkins/Jenkinsfile")) {
		if _, script, found := strings.Cut(line, `script: "`); found && strings.Contains(script, program) {
			script, _, _ = strings.Cut(script, `"`)
			return script
		}
	}
	t.Fatalf("the Jenkinsfile does not run %s", program)
	return ""
}

// processesWith returns the processes that have a variable in their environment.
func processesWith(variable string) (found []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is good
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), append(append([]byte{0}, variable...), 0)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

//go:build unix

package recipes_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oasdiff/yaml"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// decode reads YAML into a value with JSON tags. Members that it has no field for are fine.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	if _, err := yaml.Unmarshal([]byte(text), into, yaml.DecodeOpts{}); err != nil {
		t.Fatal(err)
	}
}

// release returns the address and the checksum of the binary, as people keep them in the
// variables of their CI.
func release(t *testing.T) (download, sum string) {
	t.Helper()
	path := octotest.Binary(t)
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(binary)
	return "file://" + path, hex.EncodeToString(digest[:])
}

// minutes parses a duration that must be there.
func minutes(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// waitOf returns how long a recipe waits for its lock.
func waitOf(t *testing.T, text string) time.Duration {
	t.Helper()
	found := wait.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no --wait in %q", text)
	}
	return minutes(t, found[2])
}

// workflow is what a test reads of a workflow of GitHub Actions.
type workflow struct {
	Jobs map[string]struct {
		Minutes int `json:"timeout-minutes"`
		Steps   []struct {
			Name, Uses, Run string
			Env             map[string]string
		}
	}
}

// runner is a machine on which steps of a workflow run one after another.
type runner struct {
	*site
	temp, pathFile string
	expressions    *strings.Replacer
	steps          map[string]step
}

type step struct {
	script string
	env    []string
}

func newRunner(t *testing.T, s *site) *runner {
	t.Helper()
	download, sum := release(t)
	r := &runner{site: s, temp: t.TempDir(), steps: map[string]step{}}
	r.pathFile = filepath.Join(r.temp, "path")
	r.expressions = strings.NewReplacer(
		"${{ vars.OCTOSTORE_URL }}", "http://"+s.Addr, "${{ vars.OCTOSTORE_DOWNLOAD }}", download,
		"${{ vars.OCTOSTORE_SHA256 }}", sum, "${{ secrets.OCTOSTORE_TOKEN }}", jobToken,
	)
	text := s.recipe(t, "github-actions/deploy.yml")
	var w workflow
	decode(t, text, &w)
	job := w.Jobs["deploy"]
	if timeout := time.Duration(job.Minutes) * time.Minute; timeout < 2*waitOf(t, text) {
		t.Errorf("the job ends after %s, and waits for %s of them", timeout, waitOf(t, text))
	}
	for _, st := range job.Steps {
		var env []string
		for name, value := range st.Env {
			env = append(env, name+"="+r.expressions.Replace(value))
		}
		r.steps[st.Name] = step{st.Run, env}
	}
	return r
}

// start runs a step as the runner does: the shell gets the script as a file, and PATH has
// what earlier steps have written into the file of GITHUB_PATH.
func (r *runner) start(t *testing.T, name string, change func(string) string) *run {
	t.Helper()
	st, ok := r.steps[name]
	if !ok {
		t.Fatalf("no step %q", name)
	}
	file := filepath.Join(r.temp, "script.sh")
	if err := os.WriteFile(file, []byte(change(st.script)), 0o600); err != nil {
		t.Fatal(err)
	}
	path := "/usr/local/bin:/usr/bin:/bin"
	if added, err := os.ReadFile(r.pathFile); err == nil {
		path = strings.TrimSpace(string(added)) + ":" + path
	}
	env := append(slices.Clone(st.env), "PATH="+path, "HOME="+r.temp, "CI=true", "GITHUB_ACTIONS=true", "GITHUB_PATH="+r.pathFile,
		"RUNNER_TEMP="+r.temp, "GITHUB_SERVER_URL=https://github.example", "GITHUB_REPOSITORY=org/app", "GITHUB_RUN_ID=4711")
	return r.site.start(t, env, "bash", "-e", file)
}

func same(script string) string { return script }

func TestRecipeForGitHubActionsRuns(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash", "curl", "sha256sum")
	r := newRunner(t, newSite(t))
	r.start(t, "Install octostore", same).ends(t, 0)
	lock := r.start(t, "Deploy", same).takesItsTurn(t, "deploy/prod", "deploy.sh")
	if want := "https://github.example/org/app/actions/runs/4711"; !strings.Contains(lock.Lease.Holder, want) {
		t.Errorf("the holder is %q, want %q", lock.Lease.Holder, want)
	}
}

func TestRecipeForGitHubActionsFailsIfTheLockIsHeld(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash", "curl", "sha256sum")
	r := newRunner(t, newSite(t))
	r.start(t, "Install octostore", same).ends(t, 0)
	r.hold(t, "deploy/prod")
	out := r.start(t, "Deploy", impatient).ends(t, 75)
	if !strings.Contains(out, "another") {
		t.Errorf("it does not name the holder: %s", out)
	}
	r.expectNotRun(t, "deploy.sh")
}

func TestRecipeForGitHubActionsInstallsOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash", "curl", "sha256sum")
	for name, sum := range map[string]string{"other": strings.Repeat("0", 64), "none": ""} {
		t.Run(name, func(t *testing.T) {
			r := newRunner(t, newSite(t))
			st := r.steps["Install octostore"]
			for i, v := range st.env {
				if strings.HasPrefix(v, "OCTOSTORE_SHA256=") {
					st.env[i] = "OCTOSTORE_SHA256=" + sum
				}
			}
			r.start(t, "Install octostore", same).ends(t, 1)
			if _, err := os.Stat(r.pathFile); err == nil {
				t.Error("it is on the PATH")
			}
		})
	}
}

// pipeline is what a test reads of a job of GitLab CI.
type pipeline struct {
	Deploy struct {
		Timeout      string
		BeforeScript []string `json:"before_script"`
		Script       []string
		AllowFailure struct {
			ExitCodes int `json:"exit_codes"`
		} `json:"allow_failure"`
	}
}

// startGitLab runs the lines of the job in one shell without input, as runners do.
func startGitLab(t *testing.T, s *site, shell string, change func(string) string) (*run, pipeline) {
	t.Helper()
	download, sum := release(t)
	text := s.recipe(t, "gitlab-ci/gitlab-ci.yml")
	var p pipeline
	decode(t, text, &p)
	if timeout := minutes(t, p.Deploy.Timeout); timeout < 2*waitOf(t, text) {
		t.Errorf("the job ends after %s, and waits for %s of them", timeout, waitOf(t, text))
	}
	script := "set -e\n" + strings.Join(append(p.Deploy.BeforeScript, p.Deploy.Script...), "\n")
	return s.start(t, []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "CI=true", "GITLAB_CI=true", "CI_JOB_URL=https://gitlab.example/org/app/-/jobs/4711",
		"OCTOSTORE_URL=http://" + s.Addr, "OCTOSTORE_TOKEN=" + jobToken, "OCTOSTORE_DOWNLOAD=" + download, "OCTOSTORE_SHA256=" + sum,
	}, shell, "-c", change(script)), p
}

func TestRecipeForGitLabRuns(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "sha256sum")
	for _, shell := range []string{"sh", "bash"} {
		t.Run(shell, func(t *testing.T) {
			octotest.NeedTools(t, shell)
			r, _ := startGitLab(t, newSite(t), shell, same)
			lock := r.takesItsTurn(t, "deploy/prod", "deploy.sh")
			if want := "https://gitlab.example/org/app/-/jobs/4711"; !strings.Contains(lock.Lease.Holder, want) {
				t.Errorf("the holder is %q, want %q", lock.Lease.Holder, want)
			}
		})
	}
}

func TestRecipeForGitLabAllowsThatTheLockIsHeld(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "sha256sum")
	s := newSite(t)
	s.hold(t, "deploy/prod")
	r, p := startGitLab(t, s, "sh", impatient)
	r.ends(t, p.Deploy.AllowFailure.ExitCodes)
	s.expectNotRun(t, "deploy.sh")
}

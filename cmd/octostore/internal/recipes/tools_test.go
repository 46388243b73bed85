//go:build unix

package recipes_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// What tests of recipes need of registries: .ci/recipes has the versions.
const (
	pythonTools = ".ci/recipes/requirements.txt"
	goTools     = ".ci/recipes/go.mod"
	javaTools   = ".ci/recipes/pom.xml"
)

// fetching is held while tools are fetched: tests that run beside each other share them.
var fetching sync.Mutex

// fetched returns a folder below bin that a command has filled with the tools of a file. The
// folder is kept until the file changes. Where the tools cannot be had the test is skipped.
func fetched(t *testing.T, file string, fill func(dir string) []*exec.Cmd) string {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIP: tools of registries, not with -short")
	}
	fetching.Lock()
	defer fetching.Unlock()
	text, err := os.ReadFile(octotest.Path(file))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(text)
	dir := octotest.Path("bin/recipes/" + filepath.Base(file) + "-" + hex.EncodeToString(digest[:4]))
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return dir
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil { // half a folder
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range fill(dir) {
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("SKIP: the tools of %s cannot be had: %s: %v\n%s", file, strings.Join(cmd.Args, " "), err, out)
		}
	}
	if err := os.WriteFile(complete, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// python returns the folder of the programs of a Python environment with the tools.
func python(t *testing.T) string {
	t.Helper()
	octotest.NeedTools(t, "python3")
	return filepath.Join(fetched(t, pythonTools, func(string) []*exec.Cmd {
		return []*exec.Cmd{
			exec.Command("python3", "-m", "venv", "env"),
			exec.Command("env/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", octotest.Path(pythonTools)),
		}
	}), "env", "bin")
}

// Each linter passes the recipe, and finds the mistake that is put into it.
func TestRecipesPassTheirLinters(t *testing.T) {
	bin := python(t)
	actions := exec.Command("go", "build", "-modfile="+octotest.Path(goTools), "-o", filepath.Join(bin, "actionlint"), "github.com/rhysd/actionlint/cmd/actionlint")
	actions.Dir = octotest.Root()
	if out, err := actions.CombinedOutput(); err != nil {
		t.Skipf("SKIP: actionlint cannot be had: %v\n%s", err, out)
	}
	for _, c := range []struct {
		file, right, wrong string
		linter             []string
	}{
		{"github-actions/deploy.yml", "timeout-minutes:", "timeout-minuten:", []string{"actionlint", "-no-color", "-shellcheck=", "-pyflakes="}},
		{"github-actions/deploy.yml", "vars.OCTOSTORE_URL", "vas.OCTOSTORE_URL", []string{"actionlint", "-no-color", "-shellcheck=", "-pyflakes="}},
		{"github-actions/deploy.yml", "runs-on:", "runson:", []string{"check-jsonschema", "--builtin-schema", "vendor.github-workflows"}},
		{"gitlab-ci/gitlab-ci.yml", "exit_codes:", "exit_code:", []string{"check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"}},
		{"kubernetes/cronjob.yaml", "concurrencyPolicy:", "concurrency:", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{"ansible/playbook.yml", "failed_when: false", "failed_wen: false", []string{"ansible-playbook", "--syntax-check"}},
	} {
		t.Run(c.linter[0]+" "+c.wrong, func(t *testing.T) {
			text, err := os.ReadFile(octotest.Path("sdk-examples/recipes/" + c.file))
			if err != nil {
				t.Fatal(err)
			}
			lint := func(text string) ([]byte, error) {
				path := filepath.Join(t.TempDir(), filepath.Base(c.file))
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(filepath.Join(bin, c.linter[0]), append(c.linter[1:], path)...)
				cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ANSIBLE_LOCALHOST_WARNING=false")
				return cmd.CombinedOutput()
			}
			if out, err := lint(string(text)); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if out, err := lint(strings.Replace(string(text), c.right, c.wrong, 1)); err == nil {
				t.Errorf("%s for %s passes: %s", c.wrong, c.right, out)
			}
		})
	}
}

// startJenkins runs the Jenkinsfile with stand-ins for its steps. sh is real.
func startJenkins(t *testing.T, s *site, change func(string) string) *run {
	t.Helper()
	octotest.NeedTools(t, "java", "mvn")
	lib := fetched(t, javaTools, func(dir string) []*exec.Cmd {
		return []*exec.Cmd{exec.Command("mvn", "-q", "-B", "-f", octotest.Path(javaTools), "dependency:copy-dependencies", "-DoutputDirectory="+dir)}
	})
	file := filepath.Join(s.work, "Jenkinsfile")
	if err := os.WriteFile(file, []byte(change(s.recipe(t, "jenkins/Jenkinsfile"))), 0o600); err != nil {
		t.Fatal(err)
	}
	download, sum := release(t)
	return s.start(t, []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "BUILD_URL=https://jenkins.example/job/app/4711/", "JENKINS_URL=https://jenkins.example/",
		"OCTOSTORE_URL=http://" + s.Addr, "OCTOSTORE_DOWNLOAD=" + download, "OCTOSTORE_SHA256=" + sum, "CREDENTIAL_octostore_token=" + jobToken,
	}, "java", "-cp", filepath.Join(lib, "*"), "groovy.ui.GroovyMain", octotest.Path(".ci/recipes/steps.groovy"), file)
}

func TestRecipeForJenkinsRuns(t *testing.T) {
	t.Parallel()
	lock := startJenkins(t, newSite(t), same).takesItsTurn(t, "deploy/prod", "deploy.sh")
	if want := "https://jenkins.example/job/app/4711/"; !strings.Contains(lock.Lease.Holder, want) {
		t.Errorf("the holder is %q, want %q", lock.Lease.Holder, want)
	}
}

func TestRecipeForJenkinsIsUnstableIfTheLockIsHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "deploy/prod")
	startJenkins(t, s, impatient).ends(t, 3)
	s.expectNotRun(t, "deploy.sh")
}

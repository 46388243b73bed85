//go:build unix

package recipes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// crontab returns the variables of the crontab, and its commands by the program they run.
func crontab(t *testing.T, s *site) (environ []string, commands map[string]string) {
	t.Helper()
	commands = map[string]string{}
	for line := range strings.Lines(s.recipe(t, "cron/crontab")) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.Contains(fields[0], "="):
			environ = append(environ, line)
		default:
			command := line
			for range 5 { // minute, hour, day, month, day of the week
				_, command, _ = strings.Cut(strings.TrimLeft(command, " "), " ")
			}
			command = strings.TrimSpace(command)
			if strings.Contains(command, "%") {
				t.Errorf("to cron a %% is the end of a line: %s", command)
			}
			commands[filepath.Base(fields[len(fields)-1])] = command
		}
	}
	return environ, commands
}

// startCron runs a command as cron does: by sh, with its poor environment and what the
// crontab sets, in the home of the user.
func startCron(t *testing.T, s *site, program string, change func(string) string) *run {
	t.Helper()
	environ, commands := crontab(t, s)
	environ = append([]string{"SHELL=/bin/sh", "HOME=/", "LOGNAME=backup", "PATH=/usr/bin:/bin"}, environ...)
	for i, variable := range environ {
		if strings.HasPrefix(variable, "PATH=") {
			environ[i] = strings.Replace(variable, "/usr/local/bin", s.bin, 1)
		}
	}
	return s.startCommand(t, &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", change(commands[program])}, Env: environ, Dir: "/"})
}

// quick keeps a lock no longer than its job takes.
func quick(line string) string { return strings.Replace(line, "--min-hold 2m", "--min-hold 0s", 1) }

func TestRecipeForCronRuns(t *testing.T) {
	t.Parallel()
	for program, name := range map[string]string{"backup": "backup/db", "vacuum": "vacuum/db"} {
		t.Run(program, func(t *testing.T) {
			r := startCron(t, newSite(t), program, quick)
			r.takesItsTurn(t, name, program)
			if out := r.out.String(); out != "" {
				t.Errorf("cron would send this by mail: %s", out)
			}
		})
	}
}

func TestRecipeForCronSkipsSilently(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "backup/db")
	if out := startCron(t, s, "backup", same).ends(t, 0); out != "" {
		t.Errorf("cron would send this by mail: %s", out)
	}
	s.expectNotRun(t, "backup")
}

// The job takes a moment only, and the clock of the other machine is late: without
// --min-hold it would run there again.
func TestRecipeForCronRunsOnceOnMachinesWhoseClocksDiffer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := startCron(t, s, "backup", same)
	first.runs(t, "backup/db", "backup")
	if err := s.letEnd("backup"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.notes, "backup.runs")); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the job has ended", func() bool {
		_, err := os.Stat(filepath.Join(s.notes, "backup.over"))
		return err == nil
	})
	for range 5 { // the first of them may come before a release
		startCron(t, s, "backup", same).ends(t, 0)
	}
	s.expectNotRun(t, "backup")
}

func TestRecipeForCronTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.WriteFile(s.tokenFile, []byte(strings.Repeat("x", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := startCron(t, s, "backup", same).ends(t, 77); !strings.Contains(out, "octostore: ") {
		t.Errorf("the mail would be %q", out)
	}
	s.expectNotRun(t, "backup")
}

// unit returns the assignments of a section of a unit, in order.
func unit(text, section string) (all [][2]string) {
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = line == "["+section+"]"
		}
		if key, value, found := strings.Cut(line, "="); in && found && !strings.HasPrefix(line, "#") {
			all = append(all, [2]string{key, value})
		}
	}
	return all
}

// startSystemd runs the command of the service with the environment of a service, and the
// token as a credential.
func startSystemd(t *testing.T, s *site, change func(string) string) *run {
	t.Helper()
	credentials := t.TempDir()
	secret, err := os.ReadFile(s.tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(credentials, "octostore-token"), secret, 0o400); err != nil {
		t.Fatal(err)
	}
	environ := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8", "INVOCATION_ID=4711"}
	var line string
	for _, a := range unit(s.recipe(t, "systemd/backup.service"), "Service") {
		switch a[0] {
		case "Environment":
			environ = append(environ, strings.ReplaceAll(a[1], "%d", credentials))
		case "ExecStart":
			line = a[1]
		}
	}
	if strings.Contains(line, "%") || strings.Contains(line, "$") {
		t.Errorf("systemd would replace parts of %q", line)
	}
	return s.startCommand(t, &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "exec " + change(line)}, Env: environ, Dir: "/"})
}

func TestRecipeForSystemdRuns(t *testing.T) {
	t.Parallel()
	startSystemd(t, newSite(t), same).takesItsTurn(t, "backup/db", "backup")
}

func TestRecipeForSystemdSucceedsIfTheLockIsHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "backup/db")
	allowed := ""
	for _, a := range unit(s.recipe(t, "systemd/backup.service"), "Service") {
		if a[0] == "SuccessExitStatus" {
			allowed = a[1]
		}
	}
	if allowed != "75" {
		t.Errorf("statuses %q are a success", allowed)
	}
	startSystemd(t, s, impatient).ends(t, 75)
	s.expectNotRun(t, "backup")
}

func TestRecipeForSystemdHasTimeToWaitAndToStop(t *testing.T) {
	values := map[string]string{}
	text, err := os.ReadFile(octotest.Path("sdk-examples/recipes/systemd/backup.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range unit(string(text), "Service") {
		values[a[0]] = a[1]
	}
	if minutes(t, values["TimeoutStartSec"]) < 2*waitOf(t, values["ExecStart"]) {
		t.Errorf("the service ends after %s, and waits in %s", values["TimeoutStartSec"], values["ExecStart"])
	}
	if minutes(t, values["TimeoutStopSec"]) < 20*time.Second {
		t.Errorf("the service gets %s to stop", values["TimeoutStopSec"])
	}
}

// systemd prints what it does not understand, and succeeds.
func TestRecipeForSystemdIsUnderstood(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "systemd-analyze")
	s := newSite(t)
	args := []string{"verify"}
	for _, name := range []string{"backup.service", "backup.timer"} {
		path := filepath.Join(s.work, name)
		if err := os.WriteFile(path, []byte(s.recipe(t, "systemd/"+name)), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// startMake runs a target of the Makefile.
func startMake(t *testing.T, s *site, args ...string) *run {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.work, "Makefile"), []byte(s.recipe(t, "make/Makefile")), 0o644); err != nil {
		t.Fatal(err)
	}
	return s.start(t, []string{
		"PATH=" + s.bin + ":/usr/local/bin:/usr/bin:/bin", "HOME=/root", "OCTOSTORE_URL=http://" + s.Addr, "OCTOSTORE_TOKEN_FILE=" + s.tokenFile,
	}, append([]string{"make"}, args...)...)
}

func TestRecipeForMakeRuns(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "make")
	startMake(t, newSite(t), "deploy").takesItsTurn(t, "deploy/prod", "deploy.sh")
}

// The targets below the lock run at the same time, by the jobserver of the make above.
func TestRecipeForMakeKeepsTheJobserver(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "make")
	r := startMake(t, newSite(t), "-j2", "release")
	r.runs(t, "deploy/prod", "migrate.sh")
	r.runs(t, "deploy/prod", "restart.sh")
	if err := r.site.letEnd("migrate.sh", "restart.sh"); err != nil {
		t.Fatal(err)
	}
	if out := r.ends(t, 0); strings.Contains(out, "jobserver") {
		t.Errorf("make says: %s", out)
	}
	r.site.expectFree(t, "deploy/prod")
}

func TestRecipeForMakeFailsIfTheLockIsHeld(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "make")
	s := newSite(t)
	s.hold(t, "deploy/prod")
	if out := startMake(t, s, "deploy", "WAIT=1s").ends(t, 2); !strings.Contains(out, "75") {
		t.Errorf("make does not show the status: %s", out)
	}
	s.expectNotRun(t, "deploy.sh")
}

//go:build linux || darwin || freebsd

package job

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core/boottime"
)

// TestMain lets the test binary be a guard, and a process that runs a job.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Argument {
		os.Exit(Main())
	}
	if len(os.Args) > 1 && os.Args[1] == wrapper {
		os.Exit(wrap(os.Args[2:]))
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // tests of processes wait more than they work
	goleak.VerifyTestMain(m)
}

// wrapper is the first argument with which the test binary runs a job.
const wrapper = "wrap"

// report is what it writes when the job has ended.
type report struct {
	Code   int
	Signal int
	Cause  string
	Left   int
}

// wrap runs a job: -deadline D -kill-after D -end-after D -status FILE CMD ARG…
func wrap(args []string) int {
	flags := flag.NewFlagSet(wrapper, flag.ExitOnError)
	deadline := flags.Duration("deadline", 0, "")
	killAfter := flags.Duration("kill-after", 10*time.Second, "")
	endAfter := flags.Duration("end-after", 0, "")
	status := flags.String("status", "", "")
	extend := flags.Int("extend", 0, "") // how often, every 200 ms
	say := flags.String("say", "", "")   // when it is ended
	taken := flags.Bool("take-signals", false, "")
	stopped := flags.Bool("stopped", false, "") // as soon as the command was started
	_ = flags.Parse(args)
	path, err := Find(flags.Arg(0))
	if err != nil {
		return cannot(err)
	}
	command := Command{Path: path, Args: flags.Args(), KillAfter: *killAfter}
	caught := make(chan os.Signal, 2)
	if *taken {
		command.Ended = func() {
			signal.Notify(caught, syscall.SIGUSR1, syscall.SIGTERM)
			_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1)
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			<-caught // in any order: two threads may take them
			<-caught
		}
	}
	if *deadline != 0 {
		command.Deadline = boottime.Now() + *deadline
		if err := os.WriteFile("deadline", fmt.Appendln(nil, int64(command.Deadline)), 0o600); err != nil {
			panic(err)
		}
	}
	j, err := Start(command)
	if err != nil {
		return cannot(err)
	}
	if *stopped {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	go func() {
		for range *extend {
			time.Sleep(200 * time.Millisecond)
			j.SetDeadline(boottime.Now() + *deadline)
		}
		if *extend > 0 {
			j.SetDeadline(0)
		}
	}()
	if *endAfter != 0 {
		time.AfterFunc(*endAfter, func() {
			if *say != "" {
				fmt.Println(*say)
			}
			j.End(errors.New("asked to end"))
		})
	}
	s := j.Wait()
	if *taken {
		s.Code += 100 * len(s.Late) // SIGUSR1 and SIGTERM; none has ended this process
	}
	if s.Typed {
		defer dieOf(s.Signal)
	}
	if *status != "" {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			panic("there are child processes left")
		}
		r := report{s.Code, int(s.Signal), "", s.Left}
		if s.Cause != nil {
			r.Cause = s.Cause.Error()
		}
		line, _ := json.Marshal(r)
		if err := os.WriteFile(*status, line, 0o600); err != nil {
			panic(err)
		}
	}
	return s.Code
}

func cannot(err error) int {
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, ErrNotFound) {
		return 127
	}
	return 126
}

// dieOf ends this process by a signal that was typed, so that a script ends, too.
func dieOf(sig syscall.Signal) {
	signal.Reset(sig)
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(time.Second)
}

// run is a process that runs a job.
type run struct {
	*exec.Cmd
	dir  string
	over chan struct{}
}

// startRun runs a shell script as a job, in a folder of its own. Options are those of wrap.
func startRun(t *testing.T, script string, options ...string) *run {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{wrapper, "-status", filepath.Join(dir, "status")}, options...)
	r := &run{exec.Command(os.Args[0], append(args, "sh", "-c", script)...), dir, make(chan struct{})}
	r.Dir = dir
	r.Stderr = os.Stderr
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pid, err := strconv.Atoi(strings.TrimSpace(r.read("leader"))); err == nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // of a test that has failed
		}
		_ = r.Process.Kill()
		<-r.over
	})
	go func() { defer close(r.over); _ = r.Wait() }()
	return r
}

func (r *run) read(file string) string {
	content, _ := os.ReadFile(filepath.Join(r.dir, file))
	return string(content)
}

// wait waits until the file is there, with a line in it, and returns the line.
func (r *run) wait(t *testing.T, file string) string {
	t.Helper()
	until(t, file+" is written", func() bool { return strings.HasSuffix(r.read(file), "\n") })
	return strings.TrimSpace(r.read(file))
}

// pid returns the number in the file.
func (r *run) pid(t *testing.T, file string) int {
	t.Helper()
	pid, err := strconv.Atoi(r.wait(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// left returns the time until the deadline, on the clock of boottime.
func (r *run) left(t *testing.T) time.Duration {
	t.Helper()
	at, err := strconv.ParseInt(r.wait(t, "deadline"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(at) - boottime.Now()
}

// end waits until the job has ended, and returns the report.
func (r *run) end(t *testing.T) report {
	t.Helper()
	select {
	case <-r.over:
	case <-time.After(30 * time.Second):
		t.Fatal("the job does not end")
	}
	var got report
	if err := json.Unmarshal([]byte(r.read("status")), &got); err != nil {
		t.Fatalf("status: %v", err)
	}
	return got
}

// until waits until something is true.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for began := time.Now(); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("in 30 s not: %s", what)
		}
	}
}

// gone reports whether a process has ended. One that nobody has waited for counts as ended.
func gone(pid int) bool {
	p, ok := look(pid)
	return !ok || p.ended
}

func TestJobStatusIsThatOfTheCommand(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]report{
		"exit 0":        {},
		"exit 7":        {Code: 7},
		"exit 255":      {Code: 255},
		"kill -TERM $$": {Code: 128 + 15, Signal: 15},
		"kill -KILL $$": {Code: 128 + 9, Signal: 9},
		"kill -USR1 $$": {Code: 128 + int(syscall.SIGUSR1), Signal: int(syscall.SIGUSR1)},
		"(sleep 0.1; kill -CONT $$) & kill -STOP $$; wait; exit 3": {Code: 3},
	} {
		if got := startRun(t, script).end(t); got != want {
			t.Errorf("%q: %+v, want %+v", script, got, want)
		}
	}
}

func TestJobIsEndedAtItsDeadline(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a command":                  "echo $$ >leader; exec sleep 60",
		"one that ignores TERM":      "trap '' TERM; echo $$ >leader; while :; do sleep 1; done",
		"one that is stopped":        "echo $$ >leader; kill -STOP $$; sleep 60",
		"grandchildren":              "echo $$ >leader; sh -c 'trap \"\" TERM; sleep 60 & echo $! >grandchild; wait; sleep 60' & wait",
		"grandchildren of the ended": "echo $$ >leader; (trap '' TERM; sleep 60) & echo $! >grandchild; sleep 60",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRun(t, script, "-deadline", "3s", "-kill-after", "1s")
			leader, grandchild := r.pid(t, "leader"), 0
			if strings.Contains(script, "grandchild") {
				grandchild = r.pid(t, "grandchild")
			}
			got := r.end(t)
			if left := r.left(t); left < 0 || left > 2*time.Second {
				t.Errorf("it has ended %s before its deadline", left)
			}
			if got.Cause != ErrDeadline.Error() || got.Signal == 0 {
				t.Errorf("its status is %+v", got)
			}
			if !gone(leader) || grandchild != 0 && !gone(grandchild) {
				t.Error("something of it is left")
			}
		})
	}
}

func TestJobGoesOnWhenItsDeadlineIsExtended(t *testing.T) {
	t.Parallel()
	// Each of the deadlines ends before the command.
	r := startRun(t, "sleep 2; exit 4", "-deadline", "1600ms", "-kill-after", "100ms", "-extend", "8")
	if got := r.end(t); got != (report{Code: 4}) {
		t.Errorf("its status is %+v", got)
	}
}

func TestJobEndsWithTERMThenKILL(t *testing.T) {
	t.Parallel()
	r := startRun(t, "trap 'echo got >term' TERM; echo $$ >leader; while :; do sleep 0.1; done", "-end-after", "300ms", "-kill-after", "1s")
	if got := r.end(t); got.Cause != "asked to end" || got.Signal != int(syscall.SIGKILL) {
		t.Errorf("its status is %+v", got)
	}
	if r.wait(t, "term") != "got" {
		t.Error("it got no TERM")
	}
	r = startRun(t, "trap 'exit 5' TERM; echo $$ >leader; while :; do sleep 0.1; done", "-end-after", "300ms")
	if got := r.end(t); got.Cause != "asked to end" || got.Code != 5 {
		t.Errorf("its status is %+v", got)
	}
}

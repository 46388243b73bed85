package job

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Programs such as timeout(1), and shells with job control, give what they start a group of its
// own. It must not go on without the lock.
func TestStraysAreEnded(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash")
	for name, script := range map[string]string{
		"timeout":                     "timeout 60 sh -c 'echo $$ >stray; exec sleep 60'; sleep 60",
		"job control":                 "exec bash -c 'set -m; sleep 60 & echo $! >stray; wait'",
		"one that ignores TERM":       `exec bash -c 'set -m; (trap "" TERM; while :; do sleep 0.1; done) & echo $! >stray; wait'`,
		"a session":                   "sh -c 'setsid -w sh -c \"echo \\$\\$ >stray; exec sleep 60\"; sleep 60'; sleep 60",
		"of a leader that obeys late": `exec bash -c 'trap "sleep 0.5; exit" TERM; set -m; sleep 60 & echo $! >stray; wait'`,
	} {
		for how, end := range map[string]func(r *run){
			"at the deadline": func(*run) {},
			"of a stopped process": func(r *run) {
				r.wait(t, "deadline")
				_ = r.Process.Signal(syscall.SIGSTOP)
			},
			"of a process that is stopped for a while": func(r *run) {
				r.wait(t, "deadline")
				_ = r.Process.Signal(syscall.SIGSTOP)
				leader := r.pid(t, "leader")
				until(t, "the leader has ended", func() bool { return gone(leader) })
				_ = r.Process.Signal(syscall.SIGCONT)
				<-r.over
			},
			"of a killed process": func(r *run) {
				time.Sleep(2 * time.Second) // the guard looks every second
				_ = r.Process.Kill()
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				r := startRun(t, "echo $$ >leader; "+script, "-deadline", "5s", "-kill-after", "1s")
				leader, stray := r.pid(t, "leader"), r.pid(t, "stray")
				t.Cleanup(func() { _ = syscall.Kill(stray, syscall.SIGKILL) }) // of a test that has failed
				end(r)
				until(t, "the leader has ended", func() bool { return gone(leader) })
				until(t, "it has ended", func() bool { return gone(stray) })
				if left := r.left(t); left < -time.Second { // a busy machine takes longer
					t.Errorf("it has ended %s after the deadline", -left)
				}
				if p, ok := look(r.Process.Pid); ok && !p.ended && strings.Contains(how, "stopped process") {
					_ = r.Process.Signal(syscall.SIGCONT)
					r.end(t)
				}
			})
		}
	}
}

// A stray that obeys is told to end as soon as nothing else may tell it, and once.
func TestStraysGetOneTERM(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash")
	r := startRun(t, `echo $$ >leader; exec bash -c 'set -m; sh -c "trap \"echo got >>terms\" TERM; echo \$\$ >stray; while :; do sleep 0.05; done" & wait'`,
		"-deadline", "5s", "-kill-after", "2s")
	stray := r.pid(t, "stray")
	r.end(t)
	if terms := r.read("terms"); terms != "got\n" || !gone(stray) {
		t.Errorf("it got %q", terms)
	}
}

// What a command that ends by itself leaves behind outside its group is no matter of the lock:
// it may have started a daemon.
func TestStraysOfACommandThatHasEndedAreLeftAlone(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash")
	r := startRun(t, "exec bash -c 'set -m; sleep 60 & echo $! >stray; exit 3'")
	if got := r.end(t); got != (report{Code: 3}) {
		t.Errorf("its status is %+v", got)
	}
	stray := r.pid(t, "stray")
	if gone(stray) {
		t.Error("it has been ended")
	}
	_ = syscall.Kill(stray, syscall.SIGKILL)
}

package job

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// The process may be stopped or killed before it can tell the guard about the command that it has
// started: here by the command itself, so that it happens in some of the tries. It gets one TERM.
func TestGuardFindsACommandThatItHasNotBeenToldAbout(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprintf("stopped/%d", i), func(t *testing.T) {
			t.Parallel()
			r := startRun(t, "kill -STOP $PPID; trap 'echo got >>terms' TERM; echo $$ >leader; while :; do sleep 0.05; done",
				"-deadline", "6s", "-kill-after", "2s")
			leader := r.pid(t, "leader")
			r.wait(t, "terms")
			if err := r.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if got := r.end(t); got.Cause != ErrDeadline.Error() || !gone(leader) {
				t.Errorf("its status is %+v", got)
			}
			if terms := r.read("terms"); terms != "got\n" {
				t.Errorf("it got TERM: %q", terms)
			}
		})
		t.Run(fmt.Sprintf("killed/%d", i), func(t *testing.T) {
			t.Parallel()
			r := startRun(t, "trap '' TERM; kill -KILL $PPID; echo $$ >leader; while :; do sleep 0.1; done", "-kill-after", "200ms")
			leader := r.pid(t, "leader")
			until(t, "the job has ended", func() bool { return gone(leader) })
		})
	}
}

// A guard does not take itself, or another process of the same parent or session, for the command.
func TestCommandThatIsStartedIsToldFromOthers(t *testing.T) {
	env := []string{"A=1", "TEST=" + t.Name()}
	s := startingIn(env)
	none := func(when string) {
		t.Helper()
		if child, orphan := s.find(), s.orphan(); child.ID != 0 || orphan.ID != 0 {
			t.Fatalf("%s, the command is %+v, or %+v if its parent has ended", when, child, orphan)
		}
	}
	none("before")
	for _, test := range []struct {
		name          string
		sys           *syscall.SysProcAttr
		env           []string
		child, orphan bool
	}{
		{"in the same group", nil, env, false, false},
		{"in a session of its own", &syscall.SysProcAttr{Setsid: true}, env, false, false},
		{"in a group of its own, with another environment", attributes(), env[:1], true, false},
		{"in a group of its own, without an environment", attributes(), []string{}, true, false},
		{"in a group of its own, with the environment", attributes(), env, true, true},
	} {
		cmd := exec.Command("/bin/sleep", "60")
		cmd.SysProcAttr, cmd.Env = test.sys, test.env
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want := groupOf(cmd.Process.Pid)
		if got := s.find(); (got == want) != test.child || !test.child && got.ID != 0 {
			t.Errorf("a child %s: found %+v, want %t", test.name, got, test.child)
		}
		if got := s.orphan(); (got == want) != test.orphan || !test.orphan && got.ID != 0 {
			t.Errorf("a process %s: found %+v, want %t", test.name, got, test.orphan)
		}
		_ = cmd.Process.Kill()
		until(t, "it has ended", func() bool { return gone(cmd.Process.Pid) })
		none(test.name + ", it has ended, and nobody has waited for it")
		_ = cmd.Wait()
	}
}

package job

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// open returns what the descriptors of a process are, such as "pipe:[4711]".
func open(t *testing.T, pid int) map[int]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		fd, _ := strconv.Atoi(e.Name())
		all[fd] = target
	}
	return all
}

// closedOnExec reports what fdinfo says about a descriptor.
func closedOnExec(info string) bool {
	_, rest, _ := strings.Cut(info, "flags:")
	line, _, _ := strings.Cut(rest, "\n")
	flags, err := strconv.ParseUint(strings.TrimSpace(line), 8, 64)
	return err != nil || flags&syscall.O_CLOEXEC != 0
}

func TestJobInheritsDescriptorsAndItsGuardNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := `exec 7>seven 200>far; "$0" wrap sh -c 'echo $$ >leader; read x' | cat`
	cmd := exec.Command("bash", "-c", script, os.Args[0])
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &run{dir: dir}
	leader := r.pid(t, "leader")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", leader))
	if err != nil {
		t.Fatal(err)
	}
	parent, _ := strconv.Atoi(strings.Fields(string(stat))[3])
	guard := guardOf(t, parent)
	command, of, by := open(t, leader), open(t, guard), open(t, parent)
	for _, fd := range []int{0, 1, 2} {
		if command[fd] != by[fd] {
			t.Errorf("descriptor %d of the command is %s, want %s", fd, command[fd], by[fd])
		}
		for own, is := range of {
			if is == by[fd] && is != "/dev/null" {
				t.Errorf("the guard has %s as its %d", is, own)
			}
		}
	}
	for _, name := range []string{"seven", "far"} {
		path := filepath.Join(dir, name)
		if !strings.Contains(fmt.Sprint(command), path) {
			t.Errorf("the command has not %s: %v", name, command)
		}
		if strings.Contains(fmt.Sprint(of), path) {
			t.Errorf("the guard has %s: %v", name, of)
		}
	}
	for fd, is := range command {
		if info, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", parent, fd)); by[fd] != is || closedOnExec(string(info)) {
			t.Errorf("the command has %s as its %d, and the process that runs it %s", is, fd, by[fd])
		}
	}
	in.Close()
	_ = cmd.Wait()
}

// masks returns the signals that a process ignores and blocks, of those of this package.
func masks(t *testing.T, pid int) (ignores, blocks string) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		mask, _ := strconv.ParseUint(strings.TrimSpace(line[strings.IndexByte(line, ':')+1:]), 16, 64)
		var list []string
		for _, s := range []syscall.Signal{
			syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE,
			syscall.SIGTERM, syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGURG,
		} {
			if mask&(1<<(s-1)) != 0 {
				list = append(list, strconv.Itoa(int(s)))
			}
		}
		switch {
		case strings.HasPrefix(line, "SigIgn:"):
			ignores = strings.Join(list, " ")
		case strings.HasPrefix(line, "SigBlk:"):
			blocks = strings.Join(list, " ")
		}
	}
	return ignores, blocks
}

func TestJobIgnoresWhatWasIgnored(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, before, ignores string }{
		{"nothing", "", ""},
		{"nohup", "trap '' HUP;", "1"},
		{"in the background of sh", "trap '' INT;", "2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command("sh", "-c", test.before+`exec "$0" wrap -status status sh -c 'echo $$ >leader; exec sleep 60'`, os.Args[0])
			cmd.Dir = dir
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			r := &run{dir: dir}
			leader := r.pid(t, "leader")
			if ignores, blocks := masks(t, leader); ignores != test.ignores || blocks != "" {
				t.Errorf("it ignores %q and blocks %q", ignores, blocks)
			}
			for _, n := range strings.Fields(test.ignores) {
				sig, _ := strconv.Atoi(n)
				if err := cmd.Process.Signal(syscall.Signal(sig)); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 128+15 {
				t.Errorf("it has ended with %d", code)
			}
		})
	}
}

// Without its guard the command is still told to end, though what it has started is not.
func TestJobEndsWhenItsGuardIsKilledToo(t *testing.T) {
	t.Parallel()
	r := startRun(t, "echo $$ >leader; exec sleep 60")
	leader := r.pid(t, "leader")
	guard := guardOf(t, r.Process.Pid)
	if err := r.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{guard, r.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the command has ended", func() bool { return gone(leader) })
}

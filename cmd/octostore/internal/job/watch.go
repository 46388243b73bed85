//go:build linux || darwin || freebsd

package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// program is the name under which a guard is started (argv[0]). Under that name the test
// binary acts as the command, too.
const program = "octostore"

// Guard is a guard process. It guards nothing until it is given to [Start].
type Guard struct {
	process *os.Process
	in      *os.File  // its orders
	from    *os.File  // what it announces, a byte each
	events  chan byte // what the guard announces; closed when it has ended
}

// StartGuard starts a guard, so that a job can be started at once when its lock is held.
func StartGuard() (*Guard, error) {
	return startGuard(orders{}) // the first message costs the most: no command waits for it
}

// startGuard starts a guard that finds these orders at its start: if this process is stopped from now
// on, it knows them.
func startGuard(first orders) (*Guard, error) {
	g, err := forkWith(first)
	if err != nil {
		return nil, fmt.Errorf("start the guard process: %w", err)
	}
	go g.listen()
	return g, nil
}

func forkWith(first orders) (*Guard, error) {
	in, ordersPipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	eventsPipe, out, err := os.Pipe()
	if err != nil {
		ordersPipe.Close()
		return nil, err
	}
	defer out.Close()
	g := &Guard{in: ordersPipe, from: eventsPipe, events: make(chan byte, 8)}
	if err = g.tell(first); err == nil {
		g.process, err = forkGuard(in, out)
	}
	if err != nil {
		return nil, errors.Join(err, ordersPipe.Close(), eventsPipe.Close())
	}
	return g, nil
}

// forkGuard starts this program as a guard. It inherits nothing but its two pipes: a guard
// that keeps the standard output open would let a pipeline wait for it.
func forkGuard(in, out *os.File) (*os.Process, error) {
	self, err := executable()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := make([]*os.File, lastInherited()+1) // nil: closed
	files[0], files[1], files[2] = in, out, null
	return os.StartProcess(self, []string{program, Argument}, &os.ProcAttr{
		Dir: "/",
		// It lives on a few KiB. If it was built with the race detector, it would not end for a second.
		Env:   []string{"GOGC=off", "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0"},
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// lastInherited returns the largest descriptor that a child process inherits, at least 2.
func lastInherited() int {
	last := 2
	for fd := range mostInherited {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			last = max(last, fd)
		}
	}
	return last
}

// mostInherited is the number of descriptors looked at. Shells use the first 256.
const mostInherited = 1024

// executable returns the path of this program, also if it was replaced or removed since the
// start, if the system can tell. In a chroot without /proc it is found as the shell found it.
func executable() (string, error) {
	if runtime.GOOS != "linux" {
		return os.Executable()
	}
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	path, err := exec.LookPath(os.Args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", err
	}
	return filepath.Abs(path)
}

// listen passes on what the guard announces, until it ends, and waits for it.
func (g *Guard) listen() {
	defer close(g.events)
	defer g.from.Close()
	for {
		var b [1]byte
		if _, err := g.from.Read(b[:]); err != nil {
			break
		}
		select {
		case g.events <- b[0]:
		default: // it has said so often enough
		}
	}
	_ = g.process.Kill() // it may have closed its standard output only
	_, _ = g.process.Wait()
}

// tell gives the guard its orders.
func (g *Guard) tell(o orders) error {
	message, err := json.Marshal(o)
	if err != nil {
		return err
	}
	// A guard that was stopped does not read. There is room for hours of orders in the pipe.
	if err := g.in.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = g.in.Write(message)
	return err
}

// Close ends the guard: there is no job, or no longer one. It waits for its end.
func (g *Guard) Close() {
	g.dismiss()
	g.in.Close()
}

// leave gives the guard some time to end the job as if this process had ended. It reports whether
// the guard has announced that it does.
func (g *Guard) leave(most time.Duration) (said bool) {
	g.in.Close()
	for late := time.After(most); ; {
		select {
		case _, more := <-g.events:
			if !more {
				return said
			}
			said = true
		case <-late:
			return said
		}
	}
}

// dismiss kills the guard and reports whether it has announced the end of the job.
func (g *Guard) dismiss() (said bool) {
	_ = g.process.Kill()
	for range g.events {
		said = true
	}
	return said
}

// Package job runs a command that cannot outlive a deadline: the process side of octostore
// run. It knows nothing of locks.
//
// On Linux, macOS and FreeBSD the command and the processes it starts are a process group
// of their own, and the whole group is ended: TERM, then KILL. A second process, the guard,
// knows the deadline, too. It is this program, started with [Argument], in a session of its
// own, and ends the group when this process cannot: because it is stopped, or was killed.
// On Linux that holds from the first instruction of the command: the guard finds one that it
// has not been told about yet. There the command also gets a parent-death signal, so that it
// is told to end even if both are killed.
//
// What a command leaves in the background when it has ended is ended as well, because it
// would go on without the lock. A process that has left the group, such as that of timeout(1),
// is ended on Linux if the command has to end, and is a descendant of it; a daemon is not
// reached. The standard input, output and error are the command's own: they are
// inherited, not copied.
//
// On Windows there are no groups, guards and terminals: the deadline ends the command alone,
// and only while this process runs.
package job

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Argument is the first argument of a guard process. Main is then to call [Main], before it
// does anything else.
const Argument = "guard-job"

const (
	// Margin is how long before its deadline a job gets KILL. TERM comes KillAfter earlier.
	Margin = time.Second

	// lag is how much later than this process a guard acts: only if this one does not.
	lag = Margin / 2

	// linger is how long what a command leaves in the background may take to end by itself,
	// as the tee of "exec > >(tee log)" does when it has written the last lines.
	linger = time.Second

	// resign is how long after KILL a job is taken for ended, although the system still lists
	// processes. They wait for a device, or for a parent, and run no instruction anymore.
	resign = time.Second
)

var (
	// ErrDeadline is the cause of the end of a job whose deadline has come.
	ErrDeadline = errors.New("the deadline of the command has come")

	// ErrNotFound is the error for a command that does not exist: exit code 127 of a shell.
	ErrNotFound = errors.New("command not found")

	// ErrNotExecutable is the error for a command that cannot be executed: exit code 126.
	ErrNotExecutable = errors.New("cannot be executed")
)

// Command is what to run.
type Command struct {
	Path string   // of the program, as Find returns it
	Args []string // with the name of the program, the first
	Env  []string // as in os/exec; nil: that of this process

	// KillAfter is the time from TERM to KILL.
	KillAfter time.Duration

	// Deadline is when the job must have ended, as for [Job.SetDeadline], from its first moment on: this
	// process may be stopped before it can set one. 0: never.
	Deadline time.Duration

	// Guard is a guard started before, or nil: Start starts one.
	Guard *Guard

	// Ended is called when the command has ended and signals are still caught, so that the caller
	// can catch them itself without a gap in which one would end this process. nil: nothing is
	// called.
	Ended func()
}

// Status is how a job ended.
type Status struct {
	Code   int            // the exit code, as in a shell: 128 and its number for a signal
	Signal syscall.Signal // the signal that ended the command, or 0
	Cause  error          // why this package ended the command: ErrDeadline, what End was given, or nil
	Typed  bool           // it was SIGINT or SIGQUIT, with the command at the terminal: this process got it, too
	Late   []os.Signal    // signals that came when the command had ended, before Ended was called
	Left   int            // processes left in the background that got TERM; at least 1 if there were any
}

// Find returns the path of the program with this name, searched for as a shell does. The
// error is [ErrNotFound] or [ErrNotExecutable], with the name and the reason.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) { // a PATH with a dot in it is the user's choice
		return path, nil
	}
	if errors.Is(err, exec.ErrNotFound) && filepath.Base(name) == name {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			info, statErr := os.Stat(filepath.Join(dir, name))
			if statErr == nil && info.Mode().IsRegular() {
				return "", &findError{name, fs.ErrPermission, ErrNotExecutable}
			}
		}
	}
	return "", explain(name, err)
}

// explain returns the error for a command that could not be found or started.
func explain(name string, err error) error {
	var inner *exec.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	kind := ErrNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &findError{name, nil, ErrNotFound}
	}
	return &findError{name, err, kind}
}

// findError is a command that cannot be started. It is one of two kinds.
type findError struct {
	name string
	why  error // or nil
	kind error
}

func (e *findError) Error() string {
	text := e.name + ": " + e.kind.Error()
	if e.why != nil {
		text += ": " + e.why.Error()
	}
	return text
}

func (e *findError) Unwrap() []error {
	if e.why == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.why}
}

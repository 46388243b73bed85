package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a server has to end before it is killed.
const stopTime = 10 * time.Second

// locate returns the path of the program.
func (k *kind) locate() (string, error) {
	if path, err := exec.LookPath(k.program); err == nil {
		return filepath.Abs(path) // not what a link points to: redis-server is another program by another name
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), k.program)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	found, err := filepath.Glob(k.elsewhere)
	if err != nil || len(found) == 0 {
		return "", ErrNotInstalled
	}
	return found[len(found)-1], nil
}

// version returns the first line that the program says to --version.
func version(ctx context.Context, program string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", fmt.Errorf("--version: %w: %s", err, line)
	}
	return line, nil
}

// process is a server, its folder, and the end of what it logs.
type process struct {
	dir    string
	kind   *kind
	attr   *syscall.SysProcAttr
	cmd    *exec.Cmd
	cancel context.CancelFunc
	done   chan struct{} // closed when the process is gone
	said   tail
}

// newProcess makes the folder of a process.
func newProcess(dir string, k *kind) (*process, error) {
	dir, err := os.MkdirTemp(dir, "octostore-bench-"+k.name+"-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil { // the process runs in it
		return nil, err
	}
	p := &process{dir: dir, kind: k}
	if p.attr, err = attributes(dir, k.notRoot); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return p, nil
}

// run runs the commands that prepare the folder, and starts the server.
func (p *process) run(ctx context.Context, prepare [][]string, serve []string) error {
	for _, argv := range prepare {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir, cmd.SysProcAttr = p.dir, p.attr
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, lastLines(string(out)))
		}
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.cmd = exec.CommandContext(ctx, serve[0], serve[1:]...)
	p.cmd.Dir, p.cmd.SysProcAttr = p.dir, p.attr
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(p.kind.signal) }
	p.cmd.WaitDelay = stopTime
	if err := p.cmd.Start(); err != nil {
		p.cancel()
		p.cmd = nil
		return err
	}
	p.done = make(chan struct{})
	go func() {
		_ = p.cmd.Wait() // how it ended is of no interest: await and the clients see that it did
		close(p.done)
	}()
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// explain adds the last lines of the log to an error.
func (p *process) explain(err error) error {
	if said := lastLines(p.said.String()); said != "" && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// stop ends the process, waits for its end, and removes the folder.
func (p *process) stop() {
	if p.cmd != nil {
		p.cancel()
		<-p.done
	}
	os.RemoveAll(p.dir)
}

// tail keeps the end of what is written to it. It is safe for use by many goroutines.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 2 << 10

// Write keeps the end of the text.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

// String returns the text that is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// lastLines returns the last five lines of a text.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

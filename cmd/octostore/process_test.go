package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patient is for answers that have to come, however busy the machine is. promptly is
// for what takes a moment on a machine with nothing else to do, and must not take the
// ten seconds for which a key keeps its place, or the length of a wait.
const (
	patient  = 30 * time.Second
	promptly = 5 * time.Second
)

// process is octostore serve as a process of its own.
type process struct {
	cmd  *exec.Cmd
	Addr string

	mu   sync.Mutex
	log  []logLine
	raw  []byte        // as it was written
	news chan struct{} // closed when log grows
	done chan struct{} // closed when the process has ended
}

// logLine is a line of the log in JSON.
type logLine struct {
	Level, Msg, Addr, Err string
	MaxWaiters            int `json:"max_waiters"`
	MayWait               int `json:"may_wait"`
}

// startProcess starts a server with these variables in a directory and waits until
// it listens, or returns what it said before it ended.
func startProcess(dir string, environ ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startCommand(&exec.Cmd{
		Path: self,
		Args: []string{"octostore", "serve"}, // see TestMain
		Dir:  dir,
		Env:  environ,
	})
}

// startCommand is startProcess for a command that becomes a server.
func startCommand(cmd *exec.Cmd) (*process, error) {
	cmd.Env = append([]string{"OCTOSTORE_ADDR=127.0.0.1:0", "OCTOSTORE_LOG_FORMAT=json"}, cmd.Env...)
	p := &process{
		cmd:  cmd,
		news: make(chan struct{}),
		done: make(chan struct{}),
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(stderr)
	listening, err := p.waitLog("listening", 20*time.Second)
	if err != nil {
		p.kill()
		return nil, err
	}
	p.Addr = listening.Addr
	return p, nil
}

// follow reads the log to its end, then waits for the process.
func (p *process) follow(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line logLine
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			line.Msg = lines.Text()
		}
		p.mu.Lock()
		p.raw = append(append(p.raw, lines.Bytes()...), '\n')
		p.log = append(p.log, line)
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // its outcome is in ProcessState
	close(p.done)
}

// waitLog returns the first log line with a message, waiting for it.
func (p *process) waitLog(msg string, most time.Duration) (logLine, error) {
	giveUp := time.After(most)
	for {
		p.mu.Lock()
		news := p.news
		for _, line := range p.log {
			if line.Msg == msg {
				p.mu.Unlock()
				return line, nil
			}
		}
		all := fmt.Sprint(p.log)
		p.mu.Unlock()
		select {
		case <-news:
		case <-p.done:
			return logLine{}, errors.New("the server has ended: " + all)
		case <-giveUp:
			return logLine{}, fmt.Errorf("no log line %q after %s: %s", msg, most, all)
		}
	}
}

// signal sends a signal and returns at once.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// wait returns how the process ended.
func (p *process) wait(most time.Duration) (*os.ProcessState, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState, nil
	case <-time.After(most):
		return nil, fmt.Errorf("still running after %s", most)
	}
}

// kill ends the process if it runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // ended already: fine
	<-p.done
}

// newProcess is startProcess for a test, which ends with the test.
func newProcess(t *testing.T, dir string, environ ...string) *process {
	t.Helper()
	p, err := startProcess(dir, environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// rawLog returns the log as it was written.
func (p *process) rawLog() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.raw)
}

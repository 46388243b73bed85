package octotest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is octostore serve as a process of its own.
type Server struct {
	Cmd  *exec.Cmd
	Addr string

	mu   sync.Mutex
	log  []LogLine
	raw  []byte        // as it was written
	news chan struct{} // closed when log grows
	Done chan struct{} // closed when the process has ended
}

// LogLine is a line of the log in JSON.
type LogLine struct {
	Level, Msg, Addr, Err string
	MaxWaiters            int `json:"max_waiters"`
	MayWait               int `json:"may_wait"`
}

// TryStart starts a server with these variables in a directory and waits until
// it listens, or returns what it said before it ended.
func TryStart(dir string, environ ...string) (*Server, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	return StartCommand(&exec.Cmd{Path: path, Args: []string{"octostore", "serve"}, Dir: dir, Env: environ})
}

// StartCommand is TryStart for a command that becomes a server.
func StartCommand(cmd *exec.Cmd) (*Server, error) {
	cmd.Env = append([]string{"OCTOSTORE_ADDR=127.0.0.1:0", "OCTOSTORE_LOG_FORMAT=json"}, cmd.Env...)
	p := &Server{
		Cmd:  cmd,
		news: make(chan struct{}),
		Done: make(chan struct{}),
	}
	stderr, err := p.Cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.Cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(stderr)
	listening, err := p.WaitLog("listening", time.Minute) // policies are compiled before
	if err != nil {
		p.Kill()
		return nil, err
	}
	p.Addr = listening.Addr
	return p, nil
}

// follow reads the log to its end, then waits for the process.
func (p *Server) follow(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line LogLine
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
	_ = p.Cmd.Wait() // its outcome is in ProcessState
	close(p.Done)
}

// WaitLog returns the first log line with a message, waiting for it.
func (p *Server) WaitLog(msg string, most time.Duration) (LogLine, error) {
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
		case <-p.Done:
			return LogLine{}, errors.New("the server has ended: " + all)
		case <-giveUp:
			return LogLine{}, fmt.Errorf("no log line %q after %s: %s", msg, most, all)
		}
	}
}

// Log returns the lines logged so far.
func (p *Server) Log() []LogLine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// Signal sends a signal and returns at once.
func (p *Server) Signal(s syscall.Signal) error { return p.Cmd.Process.Signal(s) }

// Wait returns how the process ended.
func (p *Server) Wait(most time.Duration) (*os.ProcessState, error) {
	select {
	case <-p.Done:
		return p.Cmd.ProcessState, nil
	case <-time.After(most):
		return nil, fmt.Errorf("still running after %s", most)
	}
}

// Kill ends the process if it runs.
func (p *Server) Kill() {
	_ = p.Cmd.Process.Kill() // ended already: fine
	<-p.Done
}

// VolatilePlace is logged where temporary files are in memory.
const VolatilePlace = "the database is on a file system in memory: a restart of the machine forgets every lease, token and record"

// Logged returns the log lines of a level, but for one that depends on the machine.
func (p *Server) Logged(level string) (found []LogLine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.log {
		if strings.EqualFold(line.Level, level) && line.Msg != VolatilePlace {
			found = append(found, line)
		}
	}
	return found
}

// Start is TryStart for a test, which ends with the test.
func Start(t *testing.T, dir string, environ ...string) *Server {
	t.Helper()
	p, err := TryStart(dir, environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", p.lastLines(30))
		}
	})
	return p
}

// RawLog returns the log as it was written.
func (p *Server) RawLog() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.raw)
}

// lastLines returns so many lines of the log, or all if there are no more.
func (p *Server) lastLines(most int) string {
	lines := strings.SplitAfter(p.RawLog(), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

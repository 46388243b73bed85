// Package child runs a server of ours in a process of its own: to load it, to show
// it, to kill it.
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// How long a child may take.
const (
	startTime = 30 * time.Second
	stopTime  = 15 * time.Second
)

// Process is a running server. Its methods may be called by one goroutine at a time.
type Process struct {
	Addr string // host:port where it listens
	PID  int

	cmd    *exec.Cmd
	cancel context.CancelFunc
	done   chan struct{} // closed when the process is gone and its log is read
}

// Open returns settings that make a server one that speaks plain HTTP, wants no tokens and
// has one listener, whatever the environment and .env say, and whose log [Start] can
// read.
func Open() []string {
	return []string{
		"OCTOSTORE_TOKENS_FILE=none",
		"OCTOSTORE_GITHUB_CLIENT_ID=none",
		"OCTOSTORE_GITHUB_CLIENT_SECRET=none",
		"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=none",
		"OCTOSTORE_GITHUB_ALLOW=none",
		"OCTOSTORE_TLS_CERT=none", "OCTOSTORE_TLS_KEY=none",
		"OCTOSTORE_ADMIN_ADDR=none", "OCTOSTORE_METRICS_ON=both", "OCTOSTORE_READYZ_ON=both",
		"OCTOSTORE_LOG_FORMAT=json",
		"OCTOSTORE_LOG_LEVEL=info",
	}
}

// Start starts a server, argv being the command and env additions to our own
// environment, and waits until its log (JSON lines on either output) says
// "listening" and where. The process gets SIGTERM when it is stopped or ctx ends,
// and is killed if it does not obey within 15 seconds. If it stops before it
// listens, the error ends with what it said last.
func Start(ctx context.Context, argv, env []string) (*Process, error) {
	ctx, cancel := context.WithCancel(ctx)
	log, logged := io.Pipe()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = logged, logged
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() { logged.CloseWithError(cmd.Wait()) }()
	p := &Process{PID: cmd.Process.Pid, cmd: cmd, cancel: cancel, done: make(chan struct{})}
	found := make(chan error, 1)
	go func() {
		defer close(p.done)
		found <- p.findAddress(bufio.NewReader(log))
		io.Copy(io.Discard, log)
	}()
	select {
	case err := <-found:
		if err == nil {
			return p, nil
		}
		p.Stop()
		return nil, err
	case <-time.After(startTime):
		p.Stop()
		return nil, errors.New("it did not say within 30 seconds where it listens")
	}
}

// Stop ends the process in good order and returns when it is gone.
func (p *Process) Stop() {
	p.cancel()
	<-p.done
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
	p.cancel()
}

// Done is closed when the process is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// findAddress reads the log up to the line that says where the server listens. If
// there is none, the last lines say why.
func (p *Process) findAddress(log *bufio.Reader) error {
	var last []string
	for {
		line, err := log.ReadString('\n')
		var record struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "listening" {
			p.Addr = record.Addr
			return nil
		}
		last = append(last, line)
		last = last[max(0, len(last)-10):]
		if err != nil {
			return fmt.Errorf("it stopped before it listened: %s", strings.TrimSpace(strings.Join(last, "")))
		}
	}
}

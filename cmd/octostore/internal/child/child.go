// Package child runs an OctoStore server, or a program that one needs, in a process of its own, for
// load tests, demonstrations and kills.
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

// Time limits of a child.
const (
	startTime = 30 * time.Second
	stopTime  = 15 * time.Second
)

// Process is a running server. One goroutine at a time may call its methods.
type Process struct {
	Addr string // host:port where it listens; empty: it is no OctoStore
	PID  int

	cmd    *exec.Cmd
	cancel context.CancelFunc
	done   chan struct{} // closed when the process is gone and its log is read
}

// Open returns settings for a server with plain HTTP, without tokens, with one listener,
// and with a log that [Start] can read, whatever the environment and .env say.
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

// Start starts a server and waits until its log (JSON lines on either output) says
// "listening" with the address. argv is the command, env is added to the environment of
// this process. The process gets SIGTERM when it is stopped or ctx ends, and SIGKILL 15
// seconds later. If it ends before it listens, the error ends with its last log lines.
func Start(ctx context.Context, argv, env []string) (*Process, error) {
	var addr string
	p, err := StartOther(ctx, argv, env, func(line string) bool {
		var record struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &record) != nil || record.Msg != "listening" {
			return false
		}
		addr = record.Addr
		return true
	})
	if err == nil {
		p.Addr = addr
	}
	return p, err
}

// StartOther is Start for any program: ready is called for each line of its output until it
// returns true.
func StartOther(ctx context.Context, argv, env []string, ready func(line string) bool) (*Process, error) {
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
		found <- awaitLine(bufio.NewReader(log), ready)
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
		return nil, errors.New("it was not ready within 30 seconds")
	}
}

// Stop stops the process cleanly and returns when it has ended.
func (p *Process) Stop() {
	p.cancel()
	<-p.done
}

// Kill kills the process with SIGKILL and returns when it has ended.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
	p.cancel()
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// awaitLine reads the log up to the line that is looked for. Without one, the error has the last
// lines.
func awaitLine(log *bufio.Reader, ready func(line string) bool) error {
	var last []string
	for {
		line, err := log.ReadString('\n')
		if ready(line) {
			return nil
		}
		last = append(last, line)
		last = last[max(0, len(last)-10):]
		if err != nil {
			return fmt.Errorf("it stopped before it was ready: %s", strings.TrimSpace(strings.Join(last, "")))
		}
	}
}

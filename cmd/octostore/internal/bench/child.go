package bench

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

// child is a server in a process of its own.
type child struct {
	addr   string
	cancel context.CancelFunc
	done   chan struct{} // closed when the process is gone and its log is read
}

// startChild starts a server and waits until it says where it listens. The process
// gets SIGTERM when it is stopped or ctx ends, and is killed if it does not obey.
func startChild(ctx context.Context, argv, env []string) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	log, logged := io.Pipe()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = logged, logged
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() { logged.CloseWithError(cmd.Wait()) }()
	c := &child{cancel: cancel, done: make(chan struct{})}
	found := make(chan error, 1)
	go func() {
		defer close(c.done)
		found <- c.findAddress(bufio.NewReader(log))
		io.Copy(io.Discard, log)
	}()
	select {
	case err := <-found:
		if err == nil {
			return c, nil
		}
		c.stop()
		return nil, err
	case <-time.After(startTime):
		c.stop()
		return nil, errors.New("it did not say within 30 seconds where it listens")
	}
}

// stop ends the process and returns when it is gone.
func (c *child) stop() {
	c.cancel()
	<-c.done
}

// findAddress reads the log up to the line that says where the server listens. If
// there is none, the last lines say why.
func (c *child) findAddress(log *bufio.Reader) error {
	var last []string
	for {
		line, err := log.ReadString('\n')
		var record struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "listening" {
			c.addr = record.Addr
			return nil
		}
		last = append(last, line)
		last = last[max(0, len(last)-10):]
		if err != nil {
			return fmt.Errorf("it stopped before it listened: %s", strings.TrimSpace(strings.Join(last, "")))
		}
	}
}

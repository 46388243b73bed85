// Package peer runs other programs that people take locks from (Redis, etcd, PostgreSQL) and
// speaks their protocols, so that a benchmark can compare them with an OctoStore server.
//
// A peer is a process in a folder of its own, on a free port of 127.0.0.1, with the settings
// with which an acknowledged lock survives a power cut. A client is one connection with one
// request under way, and does no more work for an answer than it takes to see that it is the
// expected one. It takes locks the way the documentation of the peer says.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// Names of the peers.
const (
	Redis    = "redis"
	Etcd     = "etcd"
	Postgres = "postgresql"
)

// Names returns the names of all peers, in the order in which reports list them.
func Names() []string { return []string{Redis, Etcd, Postgres} }

// ErrNotInstalled means that the program of a peer is not on this machine.
var ErrNotInstalled = errors.New("not installed")

// Client is one connection to a peer. One goroutine at a time may use it. After an error
// that is not a [*RefusalError] it can only be closed.
type Client interface {
	// Acquire takes a lock that is free. One request.
	Acquire(lock string) error
	// Release gives back the lock that this client acquired last. One request.
	Release(lock string) error
	// Read reads the state of a held lock. One request.
	Read(lock string) error
	// Open makes a lock ready for clients that wait in line.
	Open(lock string) error
	// Wait takes a lock and waits in line while another client has it.
	Wait(lock string) error
	// Pass gives the lock that this client waited for to the next in line.
	Pass(lock string) error
	// Close closes the connection.
	Close()
}

// RefusalError is a well-formed answer that is not the expected one. The connection can
// still be used.
type RefusalError struct{ text string }

func (e *RefusalError) Error() string { return e.text }

func refused(format string, args ...any) error {
	return &RefusalError{fmt.Sprintf(format, args...)}
}

// kind is what differs between the peers.
type kind struct {
	name       string
	program    string // of the server
	elsewhere  string // pattern of paths of the program outside of PATH
	operations []Operation
	queue      bool // clients can wait in line

	// command returns the command lines: those that prepare the folder, and then the server.
	command func(c config) (prepare [][]string, serve []string)
	dial    func(ctx context.Context, addr string, patience time.Duration) (Client, error)
	// setUp is called once with the first connection; nil: nothing to do.
	setUp   func(c Client) error
	signal  os.Signal // ends the server
	notRoot bool      // the server does not run as root
}

// config is what a command line depends on.
type config struct {
	program     string
	dir         string
	port, other int // free ports
	connections int
}

// Operation says what a request of the benchmark is in the terms of a peer.
type Operation struct {
	Name string `json:"name"`
	Is   string `json:"is"`
}

func kinds() []*kind { return []*kind{redisKind(), etcdKind(), postgresKind()} }

func find(name string) (*kind, error) {
	for _, k := range kinds() {
		if k.name == name {
			return k, nil
		}
	}
	return nil, fmt.Errorf("there is no peer %q; there are %s", name, strings.Join(Names(), ", "))
}

// Check returns [ErrNotInstalled] if the program of a peer is not on this machine, and another
// error if there is no such peer.
func Check(name string) error {
	k, err := find(name)
	if err == nil {
		_, err = k.locate()
	}
	return err
}

// HasQueue reports whether the clients of a peer can wait in line for a lock.
func HasQueue(name string) bool {
	k, err := find(name)
	return err == nil && k.queue
}

// Server is a running peer.
type Server struct {
	Name       string
	Version    string
	Command    string // line, with the folder as DIR
	Operations []Operation

	addr    string
	kind    *kind
	process *process
}

// Start starts a peer in a fresh folder below dir and waits until it answers. It takes that
// many connections, and some more. The programs of PATH, of the folder of this program and of the usual
// folders of Debian are found; without one the error is [ErrNotInstalled]. The process is
// ended when ctx ends, too.
func Start(ctx context.Context, name, dir string, connections int) (*Server, error) {
	k, err := find(name)
	if err != nil {
		return nil, err
	}
	program, err := k.locate()
	if err != nil {
		return nil, err
	}
	s := &Server{Name: name, Operations: k.operations, kind: k}
	s.Version, err = version(ctx, program)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for range 3 { // another program may take the port in the meantime
		if err = s.start(ctx, program, dir, connections); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, program, dir string, connections int) error {
	c := config{program: program, connections: connections}
	var err error
	if c.port, c.other, err = freePorts(); err != nil {
		return err
	}
	if s.process, err = newProcess(dir, s.kind); err != nil {
		return err
	}
	c.dir = s.process.dir
	prepare, serve := s.kind.command(c)
	s.addr = fmt.Sprintf("127.0.0.1:%d", c.port)
	s.Command = shown(serve, c)
	if err := s.process.run(ctx, prepare, serve); err != nil {
		s.process.stop()
		return err
	}
	if err := s.await(ctx); err != nil {
		err = s.process.explain(err)
		s.process.stop()
		return err
	}
	return nil
}

// shown returns a command line without what differs from run to run.
func shown(argv []string, c config) string {
	line := append([]string{filepath.Base(argv[0])}, argv[1:]...)
	return strings.NewReplacer(
		c.dir, "DIR", fmt.Sprint(c.port), "PORT", fmt.Sprint(c.other), "PORT2",
	).Replace(strings.Join(quoted(line), " "))
}

func quoted(argv []string) []string {
	argv = slices.Clone(argv)
	for i, arg := range argv {
		if arg == "" || strings.ContainsAny(arg, " \"'") {
			argv[i] = "'" + arg + "'"
		}
	}
	return argv
}

// Limits on the start of a peer.
const (
	startTime = 60 * time.Second
	startPoll = 50 * time.Millisecond
)

// await returns when the server accepts a connection and prepares itself for the load.
func (s *Server) await(ctx context.Context) error {
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	for {
		c, err := s.Dial(ctx, startTime)
		if err == nil {
			err = s.setUp(c)
			c.Close()
		}
		if err == nil {
			return nil
		}
		select {
		case <-s.process.done:
			return errors.New("it stopped before it answered")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("no answer in %s: %w", startTime, err)
		case <-time.After(startPoll):
		}
	}
}

func (s *Server) setUp(c Client) error {
	if s.kind.setUp == nil {
		return nil
	}
	return s.kind.setUp(c)
}

// Dial opens a connection, which ends with ctx or after patience.
func (s *Server) Dial(ctx context.Context, patience time.Duration) (Client, error) {
	return s.kind.dial(ctx, s.addr, patience)
}

// Usage returns what the processes of the server have used, as far as the system tells.
func (s *Server) Usage() usage.Usage { return usage.ReadProcesses(s.process.pid()) }

// Stop ends the server and removes its folder.
func (s *Server) Stop() { s.process.stop() }

// freePorts returns two ports of 127.0.0.1 that nobody listens on.
func freePorts() (a, b int, err error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// link is a connection with a deadline that also ends with a context.
type link struct {
	net.Conn
	unhook func() bool
}

func dialLink(ctx context.Context, addr string, patience time.Duration) (*link, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		conn.Close()
		return nil, err
	}
	return &link{conn, context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })}, nil
}

// Close closes the connection.
func (l *link) Close() {
	l.unhook()
	l.Conn.Close()
}

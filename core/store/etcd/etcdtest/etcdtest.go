// Package etcdtest starts real etcd for tests: one node or several on loopback, which can be
// killed, paused and started again, and a [Proxy] that disturbs the way to one of them.
//
// Its etcd ends with the process that started it, however that process ends.
package etcdtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Config says what is started. Its zero value is one node that does not sync its disk.
type Config struct {
	// Nodes is the number of nodes; 0 means 1.
	Nodes int
	// Quota is the most bytes that a node's database may have; 0 means etcd's default.
	Quota int64
	// Sync makes each node sync its log as in production. Without it a write takes a tenth of
	// the time, and outlives a kill but no power cut.
	Sync bool
	// Flags are passed on to each node behind the flags of this package.
	Flags []string
}

// Etcd is a running cluster. Its methods may be called by any goroutine of the test.
type Etcd struct {
	t     testing.TB
	dir   string
	nodes []*node
}

// node is one process, and what it is started with.
type node struct {
	client, peer string // addresses
	args         []string
	log          string
	remove       string // the folder to remove when the process ends, if anything

	mu     sync.Mutex
	leash  io.Closer // closing it kills the process
	pid    int
	exited chan struct{} // closed when the process is gone; nil: never started
}

// Start starts a cluster of so many nodes and waits until each of them answers. It ends with
// the test. Where there is no etcd and none can be built, the test is skipped.
func Start(t testing.TB, nodes int) *Etcd {
	t.Helper()
	return StartWith(t, Config{Nodes: nodes})
}

// StartWith starts a cluster as Start does, as the configuration says.
func StartWith(t testing.TB, cfg Config) *Etcd {
	t.Helper()
	e, err := open(t, Program(t), cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	e.t = t
	t.Cleanup(e.close)
	return e
}

var shared struct {
	sync.Mutex
	etcd *Etcd
}

// Shared returns the one node that all tests of this process use, each below a prefix of its
// own. The first call starts it, and it ends with the process. Tests must not disturb it.
func Shared(t testing.TB) *Etcd {
	t.Helper()
	path := Program(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.etcd != nil {
		return shared.etcd
	}
	e, err := open(t, path, Config{}, true)
	if err != nil {
		t.Fatal(err)
	}
	shared.etcd = e
	return e
}

// firstTries is how often a start is tried: a port that was free may be taken when it is used.
const firstTries = 3

func open(t testing.TB, program string, cfg Config, forever bool) (e *Etcd, err error) {
	for range firstTries {
		if e, err = openOnce(program, cfg, forever); err == nil {
			return e, nil
		}
		t.Logf("start etcd: %v", err)
	}
	return nil, fmt.Errorf("start etcd: %w", err)
}

func openOnce(program string, cfg Config, forever bool) (*Etcd, error) {
	dir, err := os.MkdirTemp("", "octostore-etcd-")
	if err != nil {
		return nil, err
	}
	e := &Etcd{dir: dir}
	if err := e.arrange(program, cfg); err != nil {
		return nil, err
	}
	for _, n := range e.nodes {
		if forever {
			n.remove = dir
		}
		if err := n.start(dir); err != nil {
			e.close()
			return nil, err
		}
	}
	for _, n := range e.nodes {
		if err := n.ready(); err != nil {
			e.close()
			return nil, err
		}
	}
	return e, nil
}

// arrange chooses addresses and writes down how each node is started.
func (e *Etcd) arrange(program string, cfg Config) error {
	addresses, err := freeAddresses(2 * max(1, cfg.Nodes))
	if err != nil {
		return err
	}
	var members []string
	for i := range max(1, cfg.Nodes) {
		n := &node{client: addresses[2*i], peer: addresses[2*i+1], log: filepath.Join(e.dir, "log"+strconv.Itoa(i))}
		members = append(members, fmt.Sprintf("n%d=http://%s", i, n.peer))
		e.nodes = append(e.nodes, n)
	}
	for i, n := range e.nodes {
		n.args = []string{
			program, "--name", "n" + strconv.Itoa(i), "--data-dir", filepath.Join(e.dir, "n"+strconv.Itoa(i)), "--log-level", "warn",
			"--listen-client-urls", "http://" + n.client, "--advertise-client-urls", "http://" + n.client,
			"--listen-peer-urls", "http://" + n.peer, "--initial-advertise-peer-urls", "http://" + n.peer,
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-token", filepath.Base(e.dir),
		}
		if !cfg.Sync {
			n.args = append(n.args, "--unsafe-no-fsync")
		}
		if cfg.Quota > 0 {
			n.args = append(n.args, "--quota-backend-bytes", strconv.FormatInt(cfg.Quota, 10))
		}
		n.args = append(n.args, cfg.Flags...)
	}
	return nil
}

func freeAddresses(n int) (found []string, err error) {
	for range n {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:revive // all of them are held until the last is found
		found = append(found, l.Addr().String())
	}
	return found, nil
}

// leashed is a shell script that starts etcd and writes its process id. It kills etcd when
// standard input ends, as it does when the process that holds the other end is gone.
const leashed = `exec 3<&0
"$@" >>"$LOG" 2>&1 </dev/null 3<&- & pid=$!
echo $pid
(cat <&3; kill -9 $pid; test -z "$REMOVE" || { sleep 1; rm -rf "$REMOVE"; }) >/dev/null 2>&1 & watch=$!
wait $pid
test -n "$REMOVE" || kill $watch 2>/dev/null
`

func (n *node) start(dir string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cmd := exec.CommandContext(context.Background(), "sh", append([]string{"-c", leashed, "sh"}, n.args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LOG="+n.log, "REMOVE="+n.remove)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		n.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	n.leash, n.exited = stdin, make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait() // it is killed
		close(exited)
	}(n.exited)
	return err
}

// readyAfter bounds the start of a node on a busy machine.
const readyAfter = 60 * time.Second

// ready waits until the node answers and knows a leader.
func (n *node) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyAfter)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !n.healthy(ctx) {
		select {
		case <-n.gone():
			return fmt.Errorf("etcd ended: %s", n.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("etcd is not ready after %s: %s", readyAfter, n.lastWords())
		case <-tick.C:
		}
	}
	return nil
}

func (n *node) healthy(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.client+"/health", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (n *node) lastWords() string {
	said, _ := os.ReadFile(n.log)
	return string(said[max(0, len(said)-2000):])
}

func (n *node) gone() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.exited
}

func (n *node) signal(s os.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := os.FindProcess(n.pid)
	if err != nil {
		return err
	}
	return p.Signal(s)
}

// kill kills the process and waits until it is gone.
func (n *node) kill() {
	exited := n.gone()
	if exited == nil {
		return
	}
	select {
	case <-exited:
		return
	default:
	}
	_ = n.signal(os.Kill) // it may end by itself just now
	<-exited
}

func (e *Etcd) close() {
	for _, n := range e.nodes {
		n.kill()
	}
	_ = os.RemoveAll(e.dir) // below the system's folder for temporary files
}

// Endpoints returns the URLs of all nodes.
func (e *Etcd) Endpoints() []string {
	var all []string
	for _, n := range e.nodes {
		all = append(all, "http://"+n.client)
	}
	return all
}

// Kill ends a node with SIGKILL and waits until it is gone. No-op if it is not running.
func (e *Etcd) Kill(i int) { e.nodes[i].kill() }

// Restart kills a node if it is running, starts it again with its data, and waits until it
// answers and knows a leader.
func (e *Etcd) Restart(i int) {
	e.t.Helper()
	e.Launch(i)
	if err := e.nodes[i].ready(); err != nil {
		e.t.Fatal(err)
	}
}

// Launch kills a node if it is running and starts it again with its data. It does not wait:
// a node without a majority of others does not answer.
func (e *Etcd) Launch(i int) {
	e.t.Helper()
	e.nodes[i].kill()
	if err := e.nodes[i].start(e.dir); err != nil {
		e.t.Fatal(err)
	}
}

// Stop pauses a node with SIGSTOP: its connections stay open, and nobody answers.
func (e *Etcd) Stop(i int) {
	e.t.Helper()
	if err := e.nodes[i].stop(); err != nil {
		e.t.Fatal(err)
	}
}

// Cont continues a node that was paused.
func (e *Etcd) Cont(i int) {
	e.t.Helper()
	if err := e.nodes[i].signal(contSignal); err != nil {
		e.t.Fatal(err)
	}
}

package etcdtest

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to an endpoint, and can be told to disturb them. Its methods
// may be called by any goroutine.
type Proxy struct {
	to       string
	listener net.Listener

	mu    sync.Mutex
	mode  mode
	delay time.Duration
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

// mode is what a proxy does with bytes.
type mode int

const (
	passing mode = iota
	losing       // what the endpoint answers is read and thrown away
	cutting      // no connection is open
)

// NewProxy returns a proxy for an endpoint such as "http://127.0.0.1:2379". It ends with the
// test.
func NewProxy(t testing.TB, endpoint string) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{to: strings.TrimPrefix(endpoint, "http://"), listener: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // ends accept
		p.set(cutting, 0)
		p.wg.Wait()
	})
	return p
}

// Endpoint returns the URL to connect to instead of the endpoint's.
func (p *Proxy) Endpoint() string { return "http://" + p.listener.Addr().String() }

// Delay makes what passes in either direction arrive later by d.
func (p *Proxy) Delay(d time.Duration) { p.set(passing, d) }

// Lose makes the endpoint's answers vanish: requests arrive, and their outcome stays unknown.
func (p *Proxy) Lose() { p.set(losing, 0) }

// Cut closes all connections, and closes new ones at once.
func (p *Proxy) Cut() { p.set(cutting, 0) }

// Mend passes everything on again. A connection whose answers were lost is closed: what comes
// later cannot be read without them.
func (p *Proxy) Mend() { p.set(passing, 0) }

func (p *Proxy) set(m mode, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := p.mode == losing && m != losing
	p.mode, p.delay = m, delay
	if m != cutting && !lost {
		return
	}
	for c := range p.conns {
		_ = c.Close() // ends both directions
	}
	clear(p.conns)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.add(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client, false) })
	both.Go(func() { p.pass(client, server, true) })
	both.Wait()
}

// add notes a pair of connections, so that they can be cut.
func (p *Proxy) add(pair ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == cutting {
		return false
	}
	for _, c := range pair {
		p.conns[c] = true
	}
	return true
}

// pass copies one direction until either end closes.
func (p *Proxy) pass(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.write(to, buffer[:n], answers) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) write(to io.Writer, b []byte, answers bool) bool {
	p.mu.Lock()
	m, delay := p.mode, p.delay
	p.mu.Unlock()
	time.Sleep(delay)
	if m == losing && answers {
		return true
	}
	_, err := to.Write(b)
	return err == nil
}

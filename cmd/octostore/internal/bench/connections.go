package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/peer"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

// terms are how a lock is asked for.
type terms struct {
	ttl, wait time.Duration // peers have a ttl of a minute
}

func (t terms) query() string {
	if t.wait == 0 {
		return "ttl=" + t.ttl.String()
	}
	return fmt.Sprintf("ttl=%s&wait=%s", t.ttl, t.wait)
}

// party is a client that acquires and releases one lock.
type party interface {
	acquire() error
	release() error
	// holds reports whether it has the lock.
	holds() bool
}

// connections are all connections of a load with one server, each used by one goroutine.
type connections interface {
	// open makes a lock ready for clients that wait in line.
	open(name string) error
	// lock returns a lock as a connection uses it.
	lock(conn int, name string, how terms, known *ledger) party
	// reader returns a worker that reads a lock which holder has.
	reader(conn int, name string, holder party) worker
	close()
}

// dial opens n connections, which end with ctx or after patience.
func (t *target) dial(ctx context.Context, n int, patience time.Duration) (connections, error) {
	if t.peer != nil {
		return dialPeer(ctx, t.peer, n, patience)
	}
	conns, err := wire.Dial(ctx, t.addr, n, patience)
	return &httpConnections{t, conns}, err
}

// httpConnections are connections with an OctoStore server or the ceiling.
type httpConnections struct {
	target *target
	conns  []*wire.Conn
}

func (c *httpConnections) open(string) error { return nil }

func (c *httpConnections) lock(conn int, name string, how terms, known *ledger) party {
	return newLockClient(c.target, c.conns[conn], name, how.query(), known)
}

func (c *httpConnections) reader(conn int, name string, holder party) worker {
	return &reader{
		conn:    c.conns[conn],
		request: c.target.request("GET", name, "\r\n"),
		token:   holder.(*lockClient).token,
		checked: c.target.promises,
	}
}

func (c *httpConnections) close() { wire.Close(c.conns) }

// peerConnections are connections with another program.
type peerConnections []peer.Client

func dialPeer(ctx context.Context, s *peer.Server, n int, patience time.Duration) (connections, error) {
	var conns peerConnections
	for range n {
		c, err := s.Dial(ctx, patience)
		if err != nil {
			conns.close()
			return nil, fmt.Errorf("connection %d of %d: %w", len(conns)+1, n, err)
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func (c peerConnections) open(name string) error { return c[0].Open(name) }

func (c peerConnections) lock(conn int, name string, how terms, known *ledger) party {
	return &peerParty{client: c[conn], name: name, waits: how.wait > 0, ledger: known}
}

func (c peerConnections) reader(conn int, name string, _ party) worker {
	return &peerReader{c[conn], name}
}

func (c peerConnections) close() {
	for _, client := range c {
		client.Close()
	}
}

// peerParty is one connection that uses one lock of a peer.
type peerParty struct {
	client peer.Client
	name   string
	waits  bool
	held   bool
	ledger *ledger
}

func (p *peerParty) holds() bool { return p.held }

func (p *peerParty) acquire() error {
	take := p.client.Acquire
	if p.waits {
		take = p.client.Wait
	}
	if err := take(p.name); err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	p.held = true
	return p.ledger.taken()
}

func (p *peerParty) release() error {
	p.held = false
	p.ledger.releasing()
	give := p.client.Release
	if p.waits {
		give = p.client.Pass
	}
	if err := give(p.name); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// peerReader reads the state of a lock of a peer.
type peerReader struct {
	client peer.Client
	name   string
}

func (r *peerReader) idle() bool { return true }

func (r *peerReader) operate() (time.Duration, error) {
	start := time.Now()
	if err := r.client.Read(r.name); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	return time.Since(start), nil
}

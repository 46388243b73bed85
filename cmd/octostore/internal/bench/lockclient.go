package bench

import (
	"fmt"
	"sync/atomic"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

// brokenPromise is an answer that a lock service must never give.
type brokenPromise struct{ what string }

func (e *brokenPromise) Error() string { return "broken promise: " + e.what }

func broken(format string, args ...any) error {
	return &brokenPromise{fmt.Sprintf(format, args...)}
}

// ledger records what the clients of one lock know about it together. A nil ledger accepts
// everything; it is for the ceiling, which promises nothing.
type ledger struct {
	newest atomic.Uint64 // fencing token
	held   atomic.Bool
}

// granted records a grant that a client has just read, or returns which promise it breaks.
func (l *ledger) granted(token uint64) error {
	if l == nil {
		return nil
	}
	if !l.held.CompareAndSwap(false, true) {
		return broken("the lock was granted with fencing token %d while another client held it", token)
	}
	if before := l.newest.Swap(token); token <= before {
		return broken("fencing token %d was granted after %d", token, before)
	}
	return nil
}

// taken records that a client has the lock of a peer without a fencing token, or that two
// have it.
func (l *ledger) taken() error {
	if !l.held.CompareAndSwap(false, true) {
		return broken("the lock was granted while another client held it")
	}
	return nil
}

// releasing records that the holder is about to release the lock.
func (l *ledger) releasing() {
	if l != nil {
		l.held.Store(false)
	}
}

// lockClient is one connection that uses one lock: its prepared requests and its lease.
type lockClient struct {
	conn           *wire.Conn
	ledger         *ledger
	acquireRequest []byte
	releaseRequest []byte // up to the lease id
	token          uint64 // of its lease; 0: none
	lease          []byte
}

func newLockClient(t *target, c *wire.Conn, name, query string, l *ledger) *lockClient {
	if !t.promises {
		l = nil
	}
	return &lockClient{
		conn:           c,
		ledger:         l,
		acquireRequest: t.request("POST", name+"/acquire?"+query, "\r\n"),
		releaseRequest: t.request("POST", name+"/release", "Octostore-Lease: "),
	}
}

func (p *lockClient) holds() bool { return p.token != 0 }

// acquire acquires the lock. The client also holds a lease that breaks a promise.
func (p *lockClient) acquire() error {
	body, err := p.conn.Exchange(p.acquireRequest)
	if err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	token, lease := wire.Number(body, wire.FieldToken), wire.Field(body, wire.FieldLease)
	if token == 0 || len(lease) == 0 {
		return fmt.Errorf("acquire: a 200 without lease id and fencing token: %.300q", body)
	}
	p.token, p.lease = token, append(p.lease[:0], lease...)
	return p.ledger.granted(token)
}

// release releases the lock.
func (p *lockClient) release() error {
	token := p.token
	p.token = 0
	p.ledger.releasing()
	n := len(p.releaseRequest)
	request := append(append(p.releaseRequest, p.lease...), "\r\n\r\n"...)
	p.releaseRequest = request[:n]
	body, err := p.conn.Exchange(request)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if got := wire.Number(body, wire.FieldToken); p.ledger != nil && got != token {
		return broken("the lease with fencing token %d was released as %d", token, got)
	}
	return nil
}

// Package wire is the client side of HTTP/1.1 as a load needs it: many connections, one
// request at a time on each, and no more work per answer than it takes to see that it is
// one.
package wire

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// StatusError is a well-formed answer with another status than 200. The connection can
// still be used.
type StatusError struct {
	status int
	body   string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d: %.300s", e.status, e.body)
}

// Conn is one keep-alive connection.
type Conn struct {
	net     net.Conn
	answers *answers
	unhook  func() bool
}

// dialOne connects to addr. The connection ends with ctx or after patience, so that a
// server that never answers does not stop a run for ever.
func dialOne(ctx context.Context, addr string, patience time.Duration) (*Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	c := &Conn{net: nc, answers: newAnswers(nc)}
	c.unhook = context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	return c, nil
}

func (c *Conn) close() {
	c.unhook()
	c.net.Close()
}

// Dial opens n connections to addr, or none. Each ends with ctx or after patience.
func Dial(ctx context.Context, addr string, n int, patience time.Duration) ([]*Conn, error) {
	conns := make([]*Conn, 0, n)
	for range n {
		c, err := dialOne(ctx, addr, patience)
		if err != nil {
			Close(conns)
			return nil, fmt.Errorf("connection %d of %d: %w", len(conns)+1, n, err)
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// Close closes connections.
func Close(conns []*Conn) {
	for _, c := range conns {
		c.close()
	}
}

// Exchange sends a request and returns the body of its 200, valid until the next exchange.
// Any other status is a [*StatusError]; after any other error the connection cannot be used
// any more.
func (c *Conn) Exchange(request []byte) ([]byte, error) {
	if _, err := c.net.Write(request); err != nil {
		return nil, err
	}
	status, body, err := c.answers.next()
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if status != http.StatusOK {
		return nil, &StatusError{status: status, body: string(body)}
	}
	return body, nil
}

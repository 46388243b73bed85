package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// statusError is an answer that came in good order and was not the one hoped for.
// The connection is as good as before.
type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d: %.300s", e.status, e.body)
}

// conn is one keep-alive connection.
type conn struct {
	net     net.Conn
	answers *answers
	unhook  func() bool
}

// dial connects to addr. Whatever happens on the connection ends with ctx or after
// patience, so that a server that answers nothing does not stop a run for ever.
func dial(ctx context.Context, addr string, patience time.Duration) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	c := &conn{net: nc, answers: newAnswers(nc)}
	c.unhook = context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	return c, nil
}

func (c *conn) close() {
	c.unhook()
	c.net.Close()
}

func dialAll(ctx context.Context, addr string, n int, patience time.Duration) ([]*conn, error) {
	conns := make([]*conn, 0, n)
	for range n {
		c, err := dial(ctx, addr, patience)
		if err != nil {
			closeAll(conns)
			return nil, fmt.Errorf("connection %d of %d: %w", len(conns)+1, n, err)
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}

// exchange sends a request and returns the body of its 200, good until the next
// exchange. Any other status is a [*statusError]; after any other error the
// connection is of no more use.
func (c *conn) exchange(request []byte) ([]byte, error) {
	if _, err := c.net.Write(request); err != nil {
		return nil, err
	}
	status, body, err := c.answers.next()
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if status != http.StatusOK {
		return nil, &statusError{status: status, body: string(body)}
	}
	return body, nil
}

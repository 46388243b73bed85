package proxy

import (
	lists "container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// headerTimeout is how long a proxy may take for its header, which it sends as soon as it is
	// connected.
	headerTimeout = 5 * time.Second
	// mostUnread bounds the connections whose header has not arrived. Above it the oldest is
	// closed, so that addresses in a trusted prefix that send nothing do not keep out those that do.
	mostUnread = 1024
	// lastHeaders is how long connections may take for their header once the inner listener is closed,
	// as before a restart with a socket that systemd keeps. They are served, later ones are not accepted.
	lastHeaders = 250 * time.Millisecond
)

// listener accepts connections whose PROXY header has been read. A connection is given out only
// then, so its address is the client's from the start, for limits and log alike, and no reader waits
// for a slow one.
type listener struct {
	net.Listener
	proxies *Proxies
	refused func(peer net.Addr, err error)

	ready   chan accepted
	ctx     context.Context // ends in Close
	end     context.CancelFunc
	ended   sync.WaitGroup
	readers sync.WaitGroup
	mu      sync.Mutex
	unread  lists.List // of *net.TCPConn, the oldest first
}

type accepted struct {
	conn net.Conn
	err  error
}

// Listen returns a listener whose connections from trusted proxies have the address of their client.
// Such a connection has to begin with a PROXY header, before TLS, within 5 seconds; otherwise it is
// closed and refused is called, perhaps concurrently. Connections from other addresses are passed on
// as they are. If the source is not [Protocol], Listen returns l. The caller closes the listener it
// returns, which closes l and ends the goroutines that Listen starts. If l is closed by itself,
// connections from before have 250 ms left for their header.
func (p *Proxies) Listen(l net.Listener, refused func(peer net.Addr, err error)) net.Listener {
	if p == nil || p.Source != Protocol || len(p.Trusted) == 0 {
		return l
	}
	on := &listener{Listener: l, proxies: p, refused: refused, ready: make(chan accepted)}
	on.ctx, on.end = context.WithCancel(context.Background())
	on.ended.Go(on.run)
	return on
}

// run accepts connections until the listener is closed. Other errors are given to the caller of
// Accept, which waits before it asks again if files run out.
func (l *listener) run() {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			l.finishReaders()
		}
		if err != nil {
			if l.give(accepted{err: err}); errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
				return
			}
			continue
		}
		tcp, is := conn.(*net.TCPConn)
		if !is || !l.fromProxy(conn) {
			l.give(accepted{conn: conn})
			continue
		}
		at := l.await(tcp)
		l.readers.Go(func() { l.read(tcp, at) })
	}
}

func (l *listener) fromProxy(conn net.Conn) bool {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return err == nil && l.proxies.trusts(from.Addr())
}

// give hands a connection to Accept, or closes it if there will be no other Accept.
func (l *listener) give(a accepted) {
	select {
	case l.ready <- a:
	case <-l.ctx.Done():
		if a.conn != nil {
			_ = a.conn.Close()
		}
	}
}

// await adds a connection to those whose header has not arrived.
func (l *listener) await(conn *net.TCPConn) *lists.Element {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unread.Len() >= mostUnread {
		_ = l.unread.Front().Value.(*net.TCPConn).Close() // its reader removes it
		l.unread.MoveToBack(l.unread.Front())
	}
	if l.ctx.Err() != nil {
		_ = conn.Close()
	}
	_ = conn.SetReadDeadline(time.Now().Add(headerTimeout)) // it fails only if closed, and so does the read
	return l.unread.PushBack(conn)
}

// finishReaders waits until the connections whose header has not arrived are given out or closed. None is
// added meanwhile.
func (l *listener) finishReaders() {
	l.mu.Lock()
	for e := l.unread.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*net.TCPConn).SetReadDeadline(time.Now().Add(lastHeaders)) // as in await
	}
	l.mu.Unlock()
	l.readers.Wait()
}

// read reads the header of a connection and gives it out.
func (l *listener) read(tcp *net.TCPConn, at *lists.Element) {
	client, err := readHeader(tcp)
	l.mu.Lock()
	l.unread.Remove(at)
	_ = tcp.SetReadDeadline(time.Time{}) // as in await
	l.mu.Unlock()
	switch {
	case err != nil:
		_ = tcp.Close()
		if l.ctx.Err() == nil {
			l.refused(tcp.RemoteAddr(), err)
		}
	case client.IsValid():
		l.give(accepted{conn: &clientConn{TCPConn: tcp, client: net.TCPAddrFromAddrPort(client)}})
	default:
		l.give(accepted{conn: tcp})
	}
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops the listener and closes the connections that were not given out.
func (l *listener) Close() error {
	l.end()
	err := l.Listener.Close()
	l.mu.Lock()
	for e := l.unread.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*net.TCPConn).Close()
	}
	l.mu.Unlock()
	l.readers.Wait()
	l.ended.Wait()
	return err
}

// clientConn is a connection of a proxy that speaks for a client.
type clientConn struct {
	*net.TCPConn
	client net.Addr
}

// RemoteAddr returns the address of the client.
func (c *clientConn) RemoteAddr() net.Addr { return c.client }

// NetConn returns the connection of the proxy, as that of TLS does.
func (c *clientConn) NetConn() net.Conn { return c.TCPConn }

// Socket returns that connection, too. It says that its bytes are the same, which those beneath TLS are
// not.
func (c *clientConn) Socket() *net.TCPConn { return c.TCPConn }

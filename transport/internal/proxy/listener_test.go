package proxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

const soon = 20 * time.Second

// startListener returns a listener that trusts 127.0.0.1, and the errors of refused connections.
func startListener(t *testing.T) (net.Listener, chan error) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 10*mostUnread)
	p := &Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Source: Protocol}
	l := p.Listen(inner, func(_ net.Addr, err error) { refused <- err })
	t.Cleanup(func() { _ = l.Close() })
	return l, refused
}

func connect(t *testing.T, l net.Listener, says string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, says); err != nil {
		t.Fatal(err)
	}
	return conn
}

func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	_, err := conn.Read(make([]byte, 1))
	if timeout, is := err.(net.Error); err == nil || is && timeout.Timeout() {
		t.Errorf("the connection is open: %v", err)
	}
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A proxy that has not sent its header yet keeps no other connection waiting.
func TestListenerGivesOutConnectionsWithTheirClient(t *testing.T) {
	l, _ := startListener(t)
	slow := connect(t, l, signature)
	connect(t, l, version2(proxied, tcp4, "203.0.113.7", "192.0.2.1")+"hello")
	conn := accept(t, l)
	if got := conn.RemoteAddr().String(); got != "203.0.113.7:4711" {
		t.Errorf("the client is %s", got)
	}
	said := make([]byte, 5)
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != "hello" {
		t.Errorf("the connection goes on with %q (%v)", said, err)
	}
	if _, is := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !is {
		t.Error("the connection beneath is not to be had")
	}
	_, _ = io.WriteString(slow, version2Bytes(local, unspecified, "")[len(signature):])
	if got, want := accept(t, l).RemoteAddr().String(), slow.LocalAddr().String(); got != want {
		t.Errorf("a health check comes from %s, want %s", got, want)
	}
}

// A trusted address has to send a header: a proxy that was set up without it must not have its
// clients write their own.
func TestListenerClosesConnectionsWithoutHeader(t *testing.T) {
	l, refused := startListener(t)
	wantClosed(t, connect(t, l, "GET /healthz HTTP/1.1\r\n\r\n"))
	select {
	case <-refused:
	case <-time.After(soon):
		t.Error("it is not reported")
	}
}

func TestListenerPassesOthersOn(t *testing.T) {
	l, _ := startListener(t)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	spoofing, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Skipf("SKIP: this machine has no address 127.0.0.2: %v", err)
	}
	t.Cleanup(func() { _ = spoofing.Close() })
	_, _ = io.WriteString(spoofing, version2(proxied, tcp4, "203.0.113.7", "192.0.2.1"))
	conn := accept(t, l)
	if got, want := conn.RemoteAddr().String(), spoofing.LocalAddr().String(); got != want {
		t.Errorf("the client is %s, want %s", got, want)
	}
	first := make([]byte, len(signature))
	if _, err := io.ReadFull(conn, first); err != nil || string(first) != signature {
		t.Errorf("the first bytes are %q (%v): net/http has to see and refuse them", first, err)
	}
}

// Silent connections from a trusted prefix make room for those that send a header.
func TestListenerBoundsSilentConnections(t *testing.T) {
	l, _ := startListener(t)
	oldest := connect(t, l, "")
	for range mostUnread {
		connect(t, l, "")
	}
	wantClosed(t, oldest)
	connect(t, l, version2(proxied, tcp4, "203.0.113.7", "192.0.2.1"))
	if got := accept(t, l).RemoteAddr().String(); got != "203.0.113.7:4711" {
		t.Errorf("the client is %s", got)
	}
}

// A socket of systemd is closed before a restart: no connection from before may be lost, and one that
// stays silent must not hold up the stop.
func TestListenerGivesOutConnectionsFromBeforeItsSocketWasClosed(t *testing.T) {
	l, refused := startListener(t)
	silent := connect(t, l, "")
	late := connect(t, l, signature)
	connect(t, l, version2(proxied, tcp4, "203.0.113.7", "192.0.2.1"))
	_ = accept(t, l) // so those before it were accepted
	if err := l.(*listener).Listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(late, version2(proxied, tcp4, "203.0.113.8", "192.0.2.1")[len(signature):])
	if got := accept(t, l).RemoteAddr().String(); got != "203.0.113.8:4711" {
		t.Errorf("the client is %s", got)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is not closed: %v", err)
	}
	wantClosed(t, silent)
	<-refused
}

func TestListenerClosesWhatWasNotGivenOut(t *testing.T) {
	l, _ := startListener(t)
	silent := connect(t, l, "")
	ready := connect(t, l, version2(proxied, tcp4, "203.0.113.7", "192.0.2.1"))
	waiting := connect(t, l, version2Bytes(local, unspecified, ""))
	first := accept(t, l)
	_ = first.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, conn := range []net.Conn{silent, ready, waiting} {
		wantClosed(t, conn)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}

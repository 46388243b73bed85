// Package conn looks after the connections of a listener: it bounds how many are open and
// evicts those on which no request was admitted yet, notices clients that hang up while their
// request waits, and logs what net/http reports. It knows nothing of requests.
package conn

import (
	lists "container/list"
	"context"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Set holds the open connections of one listener, and decides which one is closed when
// there is no room for another. A connection is pending until the server has admitted a
// request on it; after that it stays as long as its client wants. Any client that reaches the
// port can open pending connections, so only those are evicted, the oldest first.
//
// Each network (see NetworkOf) has a share of the pending connections. A network above its
// share loses connections to other networks at once, and its new connections replace its
// own old ones. While there is room no connection is evicted, so a proxy in front of all
// clients may open many at once.
//
// A Set is safe for use by many goroutines.
type Set struct {
	// Max is how many connections are served. Above it, only renewals, releases and probes
	// are answered. 0 is no limit.
	Max int
	// OnEvict is called for each connection that was evicted. It has to be set.
	OnEvict func(network netip.Addr)
	Evicted atomic.Int64

	reserve   int // connections that may be open above Max
	networkOf func(remote string) netip.Addr

	mu        sync.Mutex
	open      map[net.Conn]*Conn
	pending   lists.List // of *Conn, the oldest first
	byNetwork map[netip.Addr]*lists.List
	overShare []*lists.List // the lists of byNetwork that are longer than the share: a dozen at most
}

// Conn is one connection of a Set.
type Conn struct {
	of        *Set
	conn      net.Conn
	network   netip.Addr
	opened    time.Time
	OverLimit bool // it was opened above Max
	admitted  atomic.Bool
	exempt    atomic.Bool // see Exempt

	// Guarded by the mutex of the Set; nil unless the connection is pending.
	inPending, inNetwork *lists.Element
}

// PendingGrace is how long a connection of a network within its share may be pending while
// part of the reserve is free. Most clients send their request with the next packet.
const PendingGrace = time.Second

// NewSet returns the set of a listener that serves limit connections (0: any number), and
// has reserve more for renewals, releases and probes. networkOf returns the network of a
// remote address and port.
func NewSet(limit, reserve int, networkOf func(remote string) netip.Addr) *Set {
	return &Set{
		Max: limit, reserve: reserve, networkOf: networkOf,
		open: map[net.Conn]*Conn{}, byNetwork: map[netip.Addr]*lists.List{},
	}
}

// share is how many pending connections a network may have once the set is full. Without a
// limit it is any number.
func (c *Set) share() int {
	if c.Max == 0 {
		return math.MaxInt32
	}
	return max(1, c.Max/8)
}

// Len returns the number of open connections.
func (c *Set) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// Unserved returns the number of pending connections that are younger than PendingGrace: their
// first request may be on its way.
func (c *Set) Unserved() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.pending.Back(); e != nil && time.Since(e.Value.(*Conn).opened) < PendingGrace; e = e.Prev() {
		n++
	}
	return n
}

type connKey struct{}

// Opened is for ConnContext of [http.Server]. A request finds its connection with [Of].
func (c *Set) Opened(ctx context.Context, conn net.Conn) context.Context {
	one := &Conn{of: c, conn: conn, network: c.networkOf(conn.RemoteAddr().String()), opened: time.Now()}
	for _, victim := range c.add(one) {
		victim.close()
		c.Evicted.Add(1)
		c.OnEvict(victim.network)
	}
	return context.WithValue(ctx, connKey{}, one)
}

// add adds a connection and returns the ones to close for it; that may be the new one alone.
func (c *Set) add(one *Conn) (victims []*Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.Max > 0 && len(c.open) >= c.Max {
		last := len(c.open) >= c.Max+c.reserve
		victim := c.victim(one, last)
		if victim == nil && last {
			return []*Conn{one}
		}
		if one.OverLimit = victim == nil; one.OverLimit {
			break
		}
		c.remove(victim)
		victims = append(victims, victim)
	}
	c.open[one.conn] = one
	one.inPending = c.pending.PushBack(one)
	of := c.byNetwork[one.network]
	if of == nil {
		of = lists.New()
		c.byNetwork[one.network] = of
	}
	one.inNetwork = of.PushBack(one)
	if of.Len() == c.share()+1 {
		c.overShare = append(c.overShare, of)
	}
	return victims
}

// victim returns the pending connection to evict for a new one, or nil. A connection within
// [PendingGrace] is evicted only if its network is above its share or if the reserve is used
// up (last).
func (c *Set) victim(one *Conn, last bool) *Conn {
	from, own := &c.pending, 0
	if of := c.byNetwork[one.network]; of != nil {
		if own = of.Len(); own >= c.share() {
			from = of
		}
	}
	victim := oldest(from)
	ripe := victim != nil && one.opened.Sub(victim.opened) >= PendingGrace
	if ripe && from != &c.pending {
		return victim
	}
	if of := c.largest(max(own, c.share()), last); of != nil {
		return oldest(of)
	}
	if !ripe && !last {
		return nil
	}
	return victim
}

// largest returns the pending connections of the network that has the most, if it has more
// than above, which is at least its share. It returns nil if evicting everything above that
// number would still not make room: connections are not closed in vain. For the last place
// in the reserve, one connection is enough.
func (c *Set) largest(above int, last bool) (most *lists.List) {
	surplus := 0
	for _, of := range c.overShare {
		surplus += max(0, of.Len()-above)
		if of.Len() > above && (most == nil || of.Len() > most.Len()) {
			most = of
		}
	}
	if !last && surplus <= len(c.open)-c.Max {
		return nil
	}
	return most
}

// oldest returns the first connection of a list, or nil.
func oldest(of *lists.List) *Conn {
	first := of.Front()
	if first == nil {
		return nil
	}
	return first.Value.(*Conn)
}

// remove removes a connection that was closed or is about to be. The caller holds mu.
func (c *Set) remove(one *Conn) {
	if one == nil {
		return
	}
	delete(c.open, one.conn)
	c.removePending(one)
}

// removePending removes a connection from the pending ones. The caller holds mu.
func (c *Set) removePending(one *Conn) {
	if one.inPending == nil {
		return
	}
	c.pending.Remove(one.inPending)
	of := c.byNetwork[one.network]
	of.Remove(one.inNetwork)
	if of.Len() == c.share() {
		at := slices.Index(c.overShare, of)
		c.overShare = slices.Delete(c.overShare, at, at+1)
	}
	if of.Len() == 0 {
		delete(c.byNetwork, one.network)
	}
	one.inPending, one.inNetwork = nil, nil
}

// Admit records that the server has admitted a request on the connection. No-op without a connection.
func (one *Conn) Admit() {
	if one == nil || one.admitted.Load() {
		return
	}
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	one.admitted.Store(true)
	one.of.removePending(one)
}

// Exempt records that a connection is one of another node's, by which many clients come: it is not evicted
// and does not count. No-op without a connection.
func (one *Conn) Exempt() {
	if one == nil || one.exempt.Load() {
		return
	}
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	one.exempt.Store(true)
	one.admitted.Store(true)
	one.of.remove(one)
}

// Changed is for ConnState of [http.Server].
func (c *Set) Changed(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.open[conn]) // nil: it was evicted
}

// close closes the connection beneath TLS, whose own close might wait for the client.
func (one *Conn) close() {
	if tcp := one.TCP(); tcp != nil {
		_ = tcp.Close()
		return
	}
	_ = one.conn.Close()
}

// TCP returns the TCP connection beneath TLS and the PROXY protocol, or nil if there is none.
func (one *Conn) TCP() *net.TCPConn {
	c := one.conn
	for {
		over, is := c.(interface{ NetConn() net.Conn }) // TLS, or a connection through a proxy
		if !is {
			break
		}
		c = over.NetConn()
	}
	tcp, _ := c.(*net.TCPConn)
	return tcp
}

// Of returns the connection of a request, or nil if there is none, as in tests. Over HTTP/2
// many requests share one.
func Of(r *http.Request) *Conn {
	one, _ := r.Context().Value(connKey{}).(*Conn)
	return one
}

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

// connections are those to one listener. They are of two sorts. One on which a request was
// let in is settled, and stays as long as its client wants. All others are silent, however
// much they have sent; anybody who reaches the port can have them. When there is no place
// for one more connection, the silent ones make room, the oldest first. A network has a
// share of the places for silent ones. One that has more gives them up to others at once,
// and has its own newcomers take the place of its own.
//
// With a place left a connection is never cut, so a proxy that all clients come by may
// open many at once. connections is safe for use by many goroutines.
type Set struct {
	Max       int                            // above it only those who keep locks, and probes, are answered; 0: any number
	reserve   int                            // so many more, for those
	networkOf func(remote string) netip.Addr // of a remote address and port
	OnEvict   func(network netip.Addr)       // called for each that was cut
	Evicted   atomic.Int64                   // so far

	mu        sync.Mutex
	open      map[net.Conn]*Conn
	silent    lists.List // of *connection, the oldest first
	byNetwork map[netip.Addr]*lists.List
	crowded   []*lists.List // those of byNetwork above their share: a dozen at most
}

// connection is what is known of one.
type Conn struct {
	conn      net.Conn
	network   netip.Addr
	since     time.Time
	OverLimit bool // it is one too many
	settled   atomic.Bool

	// Guarded by the mutex of connections; nil: it is settled or gone.
	place, placeInNetwork *lists.Element
}

// silentGrace is how long a connection of a network within its share may be silent while
// there are places in reserve. Most send their request with the next packet.
const SilentGrace = time.Second

func (c *Set) Init(most, spare int, networkOf func(remote string) netip.Addr) {
	c.Max, c.reserve, c.networkOf = most, spare, networkOf
	c.open, c.byNetwork = map[net.Conn]*Conn{}, map[netip.Addr]*lists.List{}
}

// share is how many silent connections a network may have when there is no place left.
// Where there is always one, it is any number.
func (c *Set) share() int {
	if c.Max == 0 {
		return math.MaxInt32
	}
	return max(1, c.Max/8)
}

// now returns how many are open.
func (c *Set) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

type connKey struct{}

// opened is for ConnContext of [http.Server]. Requests find the connection in their
// context.
func (c *Set) Opened(ctx context.Context, conn net.Conn) context.Context {
	one := &Conn{conn: conn, network: c.networkOf(conn.RemoteAddr().String()), since: time.Now()}
	for _, victim := range c.enter(one) {
		victim.close()
		c.Evicted.Add(1)
		c.OnEvict(victim.network)
	}
	return context.WithValue(ctx, connKey{}, one)
}

// enter takes a connection in and returns those that have to go for it, which may be
// itself alone.
func (c *Set) enter(one *Conn) (victims []*Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.Max > 0 && len(c.open) >= c.Max {
		last := len(c.open) >= c.Max+c.reserve
		victim := c.yielding(one, last)
		if victim == nil && last {
			return []*Conn{one}
		}
		if one.OverLimit = victim == nil; one.OverLimit {
			break
		}
		c.forget(victim)
		victims = append(victims, victim)
	}
	c.open[one.conn] = one
	one.place = c.silent.PushBack(one)
	of := c.byNetwork[one.network]
	if of == nil {
		of = lists.New()
		c.byNetwork[one.network] = of
	}
	one.placeInNetwork = of.PushBack(one)
	if of.Len() == c.share()+1 {
		c.crowded = append(c.crowded, of)
	}
	return victims
}

// yielding returns the silent connection that is to make room for one more, or nil. Unless
// it is for the last place, or its network has more than its share, only one that had time
// to say something has to.
func (c *Set) yielding(one *Conn, last bool) *Conn {
	from, own := &c.silent, 0
	if of := c.byNetwork[one.network]; of != nil {
		if own = of.Len(); own >= c.share() {
			from = of
		}
	}
	victim := oldest(from)
	ripe := victim != nil && one.since.Sub(victim.since) >= SilentGrace
	if ripe && from != &c.silent {
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

// largest returns the silent connections of the network that has the most, if those are
// more than above, which is at least its share. It returns nil if a place would still be
// missing when all networks had given up what is more: nothing is cut in vain. For the last
// place, one is enough.
func (c *Set) largest(above int, last bool) (most *lists.List) {
	surplus := 0
	for _, of := range c.crowded {
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

// oldest returns the first of a list, or nil.
func oldest(of *lists.List) *Conn {
	first := of.Front()
	if first == nil {
		return nil
	}
	return first.Value.(*Conn)
}

// forget counts a connection no more. The caller holds mu.
func (c *Set) forget(one *Conn) {
	if one == nil {
		return
	}
	delete(c.open, one.conn)
	c.unlist(one)
}

// unlist takes a connection out of the silent ones. The caller holds mu.
func (c *Set) unlist(one *Conn) {
	if one.place == nil {
		return
	}
	c.silent.Remove(one.place)
	of := c.byNetwork[one.network]
	of.Remove(one.placeInNetwork)
	if of.Len() == c.share() {
		at := slices.Index(c.crowded, of)
		c.crowded = slices.Delete(c.crowded, at, at+1)
	}
	if of.Len() == 0 {
		delete(c.byNetwork, one.network)
	}
	one.place, one.placeInNetwork = nil, nil
}

// settle says that a request on the connection was let in.
func (c *Set) Settle(one *Conn) {
	if one == nil || one.settled.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one.settled.Store(true)
	c.unlist(one)
}

// changed is for ConnState of [http.Server].
func (c *Set) Changed(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(c.open[conn]) // nil: it was cut
}

// close cuts the connection, without a word to TLS, which might wait for the client.
func (one *Conn) close() {
	if tcp := one.TCP(); tcp != nil {
		_ = tcp.Close()
		return
	}
	_ = one.conn.Close()
}

// tcp returns the connection beneath TLS, or nil if it is none of TCP.
func (one *Conn) TCP() *net.TCPConn {
	c := one.conn
	if over, is := c.(interface{ NetConn() net.Conn }); is { // TLS
		c = over.NetConn()
	}
	tcp, _ := c.(*net.TCPConn)
	return tcp
}

// linkOf returns the connection of a request, which others may share over HTTP/2; nil if
// there is none, as in tests.
func Of(r *http.Request) *Conn {
	one, _ := r.Context().Value(connKey{}).(*Conn)
	return one
}

package conn

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
)

// paper is a connection that only has an address.
type paper struct {
	net.Conn
	from string
	cut  bool
}

func (p *paper) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.from))
}
func (p *paper) Close() error { p.cut = true; return nil }

// halfOf is the network of an address: itself, or its first half in version 6.
func halfOf(remote string) netip.Addr {
	a := netip.MustParseAddrPort(remote).Addr()
	if a.Is4() {
		return a
	}
	return netip.PrefixFrom(a, 64).Masked().Addr()
}

// TestConnectionsOfOneNetworkHaveAShare has one network open connections so fast that none
// had time to say anything. It cuts its own, not those of others.
func TestConnectionsOfOneNetworkHaveAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := map[netip.Addr]int{}
		c := NewSet(16, 4, halfOf)
		c.OnEvict = func(network netip.Addr) { cut[network]++ }
		come := func(from string) *paper {
			p := &paper{from: from}
			c.Opened(t.Context(), p)
			return p
		}
		other := come("192.0.2.1:1")
		for n := range 1000 { // a client has plenty of IPv6 addresses
			come(fmt.Sprintf("[2001:db8::%x]:443", n+1))
		}
		if other.cut || cut[netip.MustParseAddr("2001:db8::")] != 1000+1-20 || len(cut) != 1 {
			t.Errorf("cut: %v; the other %t", cut, other.cut)
		}
		if n := c.Len(); n != 20 {
			t.Errorf("%d are open, want 20", n)
		}
		third := come("192.0.2.3:1") // those of the flood go, not the oldest of all
		if other.cut || third.cut || c.open[third].OverLimit || c.Len() != 16 {
			t.Errorf("the other %t, the third %t; %d are open, want 16", other.cut, third.cut, c.Len())
		}
		if len(c.open) != c.pending.Len() || len(c.byNetwork) != 3 {
			t.Errorf("%d open, %d silent, of %d networks", len(c.open), c.pending.Len(), len(c.byNetwork))
		}
	})
}

// TestConnectionsAreCountedOnce ends connections in every way, in every order.
func TestConnectionsAreCountedOnce(t *testing.T) {
	c := NewSet(2, 0, halfOf)
	c.OnEvict = func(netip.Addr) {}
	a, b, d := &paper{from: "192.0.2.1:1"}, &paper{from: "192.0.2.2:1"}, &paper{from: "192.0.2.3:1"}
	for _, p := range []*paper{a, b, d} { // d cuts a
		c.Opened(t.Context(), p)
	}
	c.Changed(a, http.StateClosed)
	if n := c.Len(); !a.cut || n != 2 {
		t.Errorf("a was cut: %t; %d are open, want 2", a.cut, n)
	}
	c.open[b].Admit()
	c.open[d].Admit()
	e := &paper{from: "192.0.2.4:1"}
	c.Opened(t.Context(), e) // the set is full, and no connection is pending
	c.Changed(e, http.StateClosed)
	if n := c.Len(); !e.cut || b.cut || d.cut || n != 2 {
		t.Errorf("e was cut: %t, b %t, d %t; %d are open, want 2", e.cut, b.cut, d.cut, n)
	}
	c.Changed(b, http.StateClosed)
	c.Changed(b, http.StateClosed)
	c.Changed(d, http.StateClosed)
	if c.Len() != 0 || c.pending.Len() != 0 || len(c.byNetwork) != 0 {
		t.Errorf("%d open, %d silent, of %d networks", c.Len(), c.pending.Len(), len(c.byNetwork))
	}
}

// arrivals has connections arrive that only have an address.
type arrivals struct {
	*Set
	t      *testing.T
	number int
	gone   map[string]int // networks of those that were cut
}

func newArrivals(t *testing.T, most, spare int) *arrivals {
	a := &arrivals{Set: NewSet(most, spare, halfOf), t: t, gone: map[string]int{}}
	a.OnEvict = func(network netip.Addr) { a.gone[network.String()]++ }
	return a
}

func (a *arrivals) come(from string, times int) (all []*paper) {
	for range times {
		a.number++
		p := &paper{from: fmt.Sprintf("%s:%d", from, a.number)}
		a.Opened(a.t.Context(), p)
		all = append(all, p)
	}
	return all
}

func (a *arrivals) above(p *paper) bool { return a.open[p].OverLimit }

// TestConnectionsWithinTheShareHaveTheGrace has networks come that all have no more than
// their share. None of them has to go before it had time to say something.
func TestConnectionsWithinTheShareHaveTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, 16, 4) // two for each
		for n := range 8 {
			a.come(fmt.Sprintf("192.0.2.%d", n), 2)
		}
		one := a.come("192.0.2.100", 1)[0]
		if len(a.gone) != 0 || !a.above(one) {
			t.Errorf("cut: %v; the newcomer is above %t", a.gone, a.above(one))
		}
	})
}

// TestConnectionsAreNotEvictedInVain has a server full of connections that are used. Those
// that come to renew from a network with many are not cut, as that would make no place.
func TestConnectionsAreNotEvictedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, 16, 8)
		for _, p := range a.come("192.0.2.1", 15) {
			a.open[p].Admit()
		}
		a.come("192.0.2.1", 6) // five of them are too many, as all have a share of two
		other := a.come("192.0.2.2", 1)[0]
		if len(a.gone) != 0 || !a.above(other) {
			t.Errorf("cut: %v; the newcomer is above %t", a.gone, a.above(other))
		}
	})
}

// TestConnectionsOfTheLargestFloodGoFirst has two networks flood.
func TestConnectionsOfTheLargestFloodGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, 16, 0)
		small, large := a.come("192.0.2.1", 6), a.come("192.0.2.2", 10)
		a.come("192.0.2.3", 3)
		if a.gone["192.0.2.2"] != 3 || len(a.gone) != 1 || !large[2].cut || large[3].cut {
			t.Errorf("cut: %v", a.gone)
		}
		for _, p := range append(small, large...) {
			a.Changed(p, http.StateClosed)
		}
		if len(a.overShare) != 1 { // the third
			t.Errorf("%d networks have more than their share, want 1", len(a.overShare))
		}
	})
}

// TestConnectionsWithoutALimitHaveNoShare has many connections come and go where there may
// be any number.
func TestConnectionsWithoutALimitHaveNoShare(t *testing.T) {
	a := newArrivals(t, 0, 0)
	all := append(a.come("192.0.2.1", 5), a.come("192.0.2.2", 5)...)
	if len(a.overShare) != 0 || len(a.gone) != 0 {
		t.Errorf("cut: %v; %d networks have more than their share", a.gone, len(a.overShare))
	}
	for _, p := range all {
		a.Changed(p, http.StateClosed)
	}
	if a.Len() != 0 || a.pending.Len() != 0 || len(a.byNetwork) != 0 {
		t.Errorf("%d open, %d silent, of %d networks", a.Len(), a.pending.Len(), len(a.byNetwork))
	}
}

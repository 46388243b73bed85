package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Whatever the pattern of requests, never more than a second's worth comes at once, and
// in the long run not more than the rate.
func TestBucketKeepsTheRate(t *testing.T) {
	const rate = 10
	every, full := int64(time.Second)/rate, int64(time.Second)
	for _, step := range []time.Duration{0, time.Millisecond, 99 * time.Millisecond, 101 * time.Millisecond, time.Second} {
		var x Bucket
		taken, tries := 0, 1000
		for i := range tries {
			if x.take(int64(step)*int64(i), every, full) == 0 {
				taken++
			}
		}
		most := rate + int(int64(step)*int64(tries-1)/every)
		if want := min(tries, most); taken != want {
			t.Errorf("every %s: %d were taken, want %d", step, taken, want)
		}
	}
}

// Only addresses with recent requests take memory, and their number is bounded.
func TestBucketsOfIdleAddressesAreDropped(t *testing.T) {
	l := New(Config{AddressRate: 1})
	limited := 0
	l.OnRefuse = func(string) { limited++ }
	address := func(i int) string {
		return fmt.Sprintf("[2001:db8:%x:%x::1]:443", i>>16, i&0xffff)
	}
	for i := range 10 * leastSweep {
		if err := l.Address(address(i), l.began.Add(time.Duration(i)*10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.addresses.all); n > leastSweep {
		t.Errorf("%d addresses are remembered", n)
	}
	at := l.began.Add(1000 * time.Hour)
	for i := range 2 * mostAddresses {
		_ = l.Address(address(i), at)
	}
	if n := len(l.addresses.all); n > mostAddresses {
		t.Errorf("%d addresses are remembered", n)
	}
	if limited < mostAddresses-leastSweep {
		t.Errorf("%d were refused: those for whom there is no room share one tally", limited)
	}
	if err := l.Address(address(3*mostAddresses), at.Add(time.Hour)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	if n := len(l.addresses.all); n > 1 {
		t.Errorf("an hour later %d addresses are remembered", n)
	}
}

func TestNetworks(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::", "::1": "::",
	} {
		if got := network(netip.MustParseAddr(a)).String(); got != want {
			t.Errorf("%s is of %s, want %s", a, got, want)
		}
	}
}

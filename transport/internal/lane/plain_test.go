package lane

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPlainRequests has requests that the lane may serve, and those it leaves to net/http. Each is
// checked however its bytes arrive.
func TestPlainRequests(t *testing.T) {
	const host = "Host: localhost\r\n"
	for name, test := range map[string]struct {
		in   string
		want verdict
	}{
		"status":             {get, plain},
		"status with query":  {"GET /v1/locks/a?waiters=3 HTTP/1.1\r\n" + host + "\r\n", plain},
		"acquire":            {acquire, plain},
		"renew":              {"POST /v1/locks/a/renew?ttl=3 HTTP/1.1\r\n" + host + "\r\n", plain},
		"release, body":      {"POST /v1/locks/a/release HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\n", plain},
		"keep-alive":         {"GET /v1/locks/a HTTP/1.1\r\n" + host + "Connection: Keep-Alive\r\n\r\n", plain},
		"close":              {"GET /v1/locks/a HTTP/1.1\r\n" + host + "connection: close\r\n\r\n", plain},
		"half":               {"GET /v1/lo", undecided},
		"half a header":      {"GET /v1/locks/a HTTP/1.1\r\nHost: ", undecided},
		"nothing":            {"", undecided},
		"break":              {"POST /v1/locks/a/break HTTP/1.1\r\n", other},
		"another path":       {"GET /v1/locks HTTP/1.1\r\n", other},
		"another method":     {"HEAD /v1/locks/a HTTP/1.1\r\n", other},
		"lower case":         {"get /v1/locks/a HTTP/1.1\r\n", other},
		"version":            {"GET /v1/locks/a HTTP/1.0\r\n", other},
		"no version":         {"GET /v1/locks/a\r\n", other},
		"two spaces":         {"GET  /v1/locks/a HTTP/1.1\r\n", other},
		"space in target":    {"GET /v1/locks/a b HTTP/1.1\r\n", other},
		"absolute":           {"GET http://localhost/v1/locks/a HTTP/1.1\r\n", other},
		"line feed":          {"GET /v1/locks/a HTTP/1.1\n", other},
		"later line feed":    {"GET /v1/locks/a HTTP/1.1\r\nHost: localhost\n", other},
		"carriage return":    {"GET /v1/locks/a HTTP/1.1\r\nHost: localhost\r\r\n", other},
		"NUL":                {"GET /v1/locks/a HTTP/1.1\r\nX: a\x00b\r\n", other},
		"folded":             {"GET /v1/locks/a HTTP/1.1\r\nX: a\r\n b\r\n", other},
		"space before colon": {"GET /v1/locks/a HTTP/1.1\r\nHost : localhost\r\n", other},
		"no colon":           {"GET /v1/locks/a HTTP/1.1\r\nHost\r\n", other},
		"no name":            {"GET /v1/locks/a HTTP/1.1\r\n: a\r\n", other},
		"no host":            {"GET /v1/locks/a HTTP/1.1\r\n\r\n", other},
		"empty host":         {"GET /v1/locks/a HTTP/1.1\r\nHost:\r\n", other},
		"two hosts":          {"GET /v1/locks/a HTTP/1.1\r\n" + host + host, other},
		"odd host":           {"GET /v1/locks/a HTTP/1.1\r\nHost: a/b\r\n", other},
		"two lengths":        {"GET /v1/locks/a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", other},
		"signed length":      {"GET /v1/locks/a HTTP/1.1\r\nContent-Length: +1\r\n", other},
		"list of lengths":    {"GET /v1/locks/a HTTP/1.1\r\nContent-Length: 1, 1\r\n", other},
		"long length":        {"GET /v1/locks/a HTTP/1.1\r\nContent-Length: 10000\r\n", other},
		"chunks":             {"GET /v1/locks/a HTTP/1.1\r\ntransfer-ENCODING: chunked\r\n", other},
		"expect":             {"GET /v1/locks/a HTTP/1.1\r\nExpect: 100-continue\r\n", other},
		"upgrade":            {"GET /v1/locks/a HTTP/1.1\r\nUpgrade: h2c\r\n", other},
		"HTTP/2 settings":    {"GET /v1/locks/a HTTP/1.1\r\nHTTP2-Settings: a\r\n", other},
		"trailer":            {"GET /v1/locks/a HTTP/1.1\r\nTrailer: a\r\n", other},
		"TE":                 {"GET /v1/locks/a HTTP/1.1\r\nTE: trailers\r\n", other},
		"options":            {"GET /v1/locks/a HTTP/1.1\r\nConnection: close, te\r\n", other},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHeader()
			if got := h.check([]byte(test.in)); got != test.want {
				t.Errorf("at once: %d, want %d", got, test.want)
			}
			h = newHeader()
			for n := range len(test.in) {
				if got := h.check([]byte(test.in[:n+1])); got == plain && n+1 < len(test.in) {
					t.Fatalf("plain after %q", test.in[:n+1])
				}
			}
			if h.decided != test.want {
				t.Errorf("byte by byte: %d, want %d", h.decided, test.want)
			}
		})
	}
}

// TestPlainLengths has the header tell of a body.
func TestPlainLengths(t *testing.T) {
	h := newHeader()
	in := strings.Replace(acquire, "\r\n\r\n", "\r\nContent-Length: 0042\r\n\r\n", 1)
	if h.check([]byte(in)) != plain || h.length != 42 || h.at != len(in) || !h.waits {
		t.Errorf("%+v", h)
	}
	if r := parse([]byte(in+strings.Repeat("x", 42)), &h); r == nil || r.ContentLength != 42 {
		t.Errorf("%v", r)
	}
}

// headerTimes records the deadlines of a connection.
type headerTimes struct {
	net.Conn
	set []time.Time
}

func (d *headerTimes) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// TestHandOverKeepsTheTimeOfTheHeader sets the deadlines that net/http sets.
func TestHandOverKeepsTheTimeOfTheHeader(t *testing.T) {
	now := time.Now()
	under := &headerTimes{}
	h := &handed{Conn: under, headerBy: now.Add(time.Second)}
	for _, at := range []time.Duration{5 * time.Second, time.Millisecond, 5 * time.Second} {
		_ = h.SetReadDeadline(now.Add(at))
	}
	_ = h.SetReadDeadline(time.Time{}) // the header has been read
	_ = h.SetReadDeadline(now.Add(time.Minute))
	want := []time.Time{now.Add(time.Second), now.Add(time.Millisecond), now.Add(time.Second), {}, now.Add(time.Minute)}
	for i := range want {
		if !under.set[i].Equal(want[i]) {
			t.Errorf("deadline %d is %v, want %v", i, under.set[i], want[i])
		}
	}
}

// TestHandOverKeepsTheTimeOfAHeaderInTwoParts has a client take too long for a header that is for
// net/http.
func TestHandOverKeepsTheTimeOfAHeaderInTwoParts(t *testing.T) {
	s := newLane(t, nil, func(cfg *Config) { cfg.HeaderTimeout = 200 * time.Millisecond })
	began := time.Now()
	c := s.dial(t).send("GET /v1/locks/a")
	_, _ = io.WriteString(c, "b/c HTTP/1.0\r\n") // it goes over, and never ends
	c.wantEnd()
	if took := time.Since(began); took > soon/2 {
		t.Errorf("it has %s, the time of net/http", took)
	}
}

// TestIdleTimeIsThatAfterTheLastRequest sets it many times, and around the deadlines of a handler.
func TestIdleTimeIsThatAfterTheLastRequest(t *testing.T) {
	under := &headerTimes{}
	c := &conn{srv: New(Config{Rest: &http.Server{}, IdleTimeout: 64 * time.Second}), nc: under}
	now := time.Now()
	for after := range 100 {
		from := now.Add(time.Duration(after) * time.Second / 10)
		if after%30 == 29 {
			_ = (&answer{c: c}).SetReadDeadline(from.Add(time.Second))
		}
		c.setIdleTime(from)
		if early := from.Add(64 * time.Second).Sub(under.set[len(under.set)-1]); early < 0 || early > time.Second {
			t.Errorf("request %d: the time is too short by %s", after, early)
		}
	}
	if n := len(under.set); n > 20 {
		t.Errorf("the deadline was set %d times", n)
	}
	c.srv.cfg.IdleTimeout = 0
	if c.setIdleTime(now); !under.set[len(under.set)-1].IsZero() {
		t.Error("without a limit there is one")
	}
}

// TestHandOverOfRequestsThatMayWait has a handler that does not notice hang-ups.
func TestHandOverOfRequestsThatMayWait(t *testing.T) {
	s := newLane(t, nil, func(cfg *Config) { cfg.Poller = false })
	s.dial(t).send(get).want("lane").send(acquire).want("rest").send(get).want("rest")
}

package stories_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// mutant is a request on its way from right to wrong.
type mutant struct {
	rng                     *rand.Rand
	method, target, version string
	headers                 []string // whole lines
	body                    []byte
	chunked                 bool
}

// newMutant returns the bytes of a malformed request, the same for the same numbers.
// Some are still good.
func newMutant(seed, n uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, n))
	m := original(rng)
	for range rng.IntN(3) {
		mutations[rng.IntN(len(mutations))](m)
	}
	raw := m.render()
	if rng.IntN(4) == 0 {
		for range 1 + rng.IntN(4) {
			raw = scramble(rng, raw)
		}
	}
	if rng.IntN(20) == 0 {
		raw = append(raw, original(rng).render()...)
	}
	return raw
}

// original returns a request as it should be.
func original(rng *rand.Rand) *mutant {
	lock := fmt.Sprintf("/v1/locks/m/%d", rng.IntN(50))
	lease := []string{"lease_id=ls_" + strings.Repeat("a", 32), ""}[rng.IntN(2)]
	m := &mutant{rng: rng, method: "POST", version: "HTTP/1.1", headers: []string{"Host: localhost", "Connection: close"}}
	switch rng.IntN(10) {
	case 0:
		m.method, m.target = "GET", []string{"/", "/healthz", "/readyz", "/metrics", "/openapi.yaml"}[rng.IntN(5)]
	case 1:
		m.method, m.target = "GET", "/v1/locks?prefix=m/&limit=10&account=local"
	case 2:
		m.method, m.target = "GET", lock
	case 3:
		m.target = lock + "/acquire?ttl=1s&wait=20ms&holder=me&reason=because&meta.k=v"
	case 4:
		m.target, m.body = lock+"/acquire", []byte("ttl=1s&wait=20ms&holder=h%C3%A9&meta.ticket=OPS-7")
		m.headers = append(m.headers, "Content-Type: application/x-www-form-urlencoded")
	case 5:
		m.target, m.body = lock+"/acquire", []byte(`{"ttl": "1s", "wait": 0.02, "holder": "h\u00e9", "metadata": {"k": "v", "l": ""}}`)
		m.headers = append(m.headers, "Content-Type: application/json")
		m.chunked = rng.IntN(2) == 0
	case 6:
		m.target = lock + "/acquire?ttl=1s" // with a wait its place would be kept for it
		m.headers = append(m.headers, fmt.Sprintf("Idempotency-Key: key-%032d", rng.IntN(20)), "Accept: text/plain")
	case 7:
		m.target = lock + "/renew?ttl=1s&" + lease
	case 8:
		m.target = lock + "/release"
		m.headers = append(m.headers, "Octostore-Lease: "+strings.Repeat("b", 40))
	case 9:
		m.target, m.body = lock+"/break?reason=mutant", []byte("fencing_token=1")
	}
	return m
}

func (m *mutant) render() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", m.method, m.target, m.version)
	for _, h := range m.headers {
		b.WriteString(h + "\r\n")
	}
	switch {
	case m.chunked:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(m.body), m.body)
	case len(m.body) > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(m.body), m.body)
	default:
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// mutations each do one thing wrong.
var mutations = []func(*mutant){
	func(m *mutant) { m.method = m.one(methods) },
	func(m *mutant) { m.version = m.one(versions) },
	func(m *mutant) { m.target = m.spliced(m.target, m.one(pathScraps)) },
	func(m *mutant) { m.target = m.spliced(m.target, m.one(pathScraps)) },
	func(m *mutant) { m.target = m.one(targets) },
	func(m *mutant) { m.target += m.joint() + m.one(pairs) },
	func(m *mutant) { m.target += m.joint() + m.one(pairs) + "&" + m.one(pairs) },
	func(m *mutant) { m.headers = append(m.headers, m.one(headers)) },
	func(m *mutant) { m.headers = append(m.headers, m.one(headers), m.one(headers)) },
	func(m *mutant) { m.headers = m.headers[min(1, len(m.headers)-1):] },
	func(m *mutant) { m.headers = append(m.headers, m.headers[m.rng.IntN(len(m.headers))]) },
	func(m *mutant) { m.headers[0] = m.spliced(m.headers[0], m.one(scraps)) },
	func(m *mutant) { m.body = scramble(m.rng, m.body) },
	func(m *mutant) { m.body = []byte(m.one(bodies)) },
	func(m *mutant) { m.body = []byte(m.one(pairs) + "&" + m.one(pairs)) },
	func(m *mutant) { m.body = append(m.body, m.one(bodies)...) },
	func(m *mutant) { m.chunked = !m.chunked },
	func(m *mutant) { m.headers = append(m.headers, m.one(framings)) },
}

// joint is what comes between a target and one more parameter.
func (m *mutant) joint() string {
	if strings.Contains(m.target, "?") {
		return "&"
	}
	return "?"
}

func (m *mutant) one(of []string) string { return of[m.rng.IntN(len(of))] }

// spliced returns s with a part of it replaced.
func (m *mutant) spliced(s, part string) string {
	from := m.rng.IntN(len(s) + 1)
	to := min(from+m.rng.IntN(3), len(s))
	return s[:from] + part + s[to:]
}

// scramble returns raw with one thing wrong about its bytes.
func scramble(rng *rand.Rand, raw []byte) []byte {
	if len(raw) == 0 {
		return []byte{byte(rng.Uint32())}
	}
	raw = slices.Clone(raw)
	at := rng.IntN(len(raw))
	most := min(len(raw), at+1+rng.IntN(30))
	switch rng.IntN(7) {
	case 0:
		raw[at] ^= 1 << rng.IntN(8)
	case 1:
		raw[at] = byte(rng.Uint32())
	case 2:
		return raw[:at]
	case 3:
		return slices.Delete(raw, at, most)
	case 4:
		return slices.Insert(raw, at, raw[at:most]...)
	case 5:
		return slices.Insert(raw, at, []byte(scraps[rng.IntN(len(scraps))])...)
	case 6:
		return bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	}
	return raw
}

// Mutations that make a request malformed.
var (
	scraps     = []string{"\x00", "\r", "\n", "\r\n", "\r\n\r\n", " ", "\t", ":", "\xff\xfe", "\u202e", "%", "%00", "\"", "{", "}", "A", strings.Repeat("A", 5000)}
	pathScraps = []string{"/", "//", "/../", "/./", "..", "%2F", "%2f..%2f", "%", "%zz", "%00", "%C3%28", "?", "#", ";", "é", "\x7f", "*", ":", "~", "+", strings.Repeat("a", 65), strings.Repeat("a/", 130), "/acquire", "/renew", "/wait"}
	targets    = []string{"*", "/", "//", "?", "/v1/locks", "/v1/locks/", "/v1/locks//acquire", "/v1/locks/acquire", "/v1/locks/a/history", "http://localhost/v1/locks/a", "http://[::1", "localhost:80", "/%", "/v1/locks/%2e%2e/acquire", "/debug/pprof/", "/v1/locks/" + strings.Repeat("a", 300)}
	methods    = []string{"", "get", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PRI", "G\x00T", "P OST", strings.Repeat("M", 300)}
	versions   = []string{"", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "HTTP/11", "http/1.1", "HTTP/1.1\r", "FTP/1.1"}
	pairs      = []string{
		"ttl=0", "ttl=-1s", "ttl=1e9", "ttl=9999999999999999999h", "ttl=1s&ttl=1s", "ttl", "ttl=", "=", "wait=-5s", "wait=NaN", "wait=0.0000001", "wait=Inf",
		"holder=%00", "holder=" + strings.Repeat("h", 200), "reason=%ff", "reason=" + strings.Repeat("r", 600), "meta.=v", "meta.K=v", "meta.k=%0a", "metadata=x",
		"limit=-1", "limit=1001", "limit=x", "after=%00", "after=~", "prefix=%ff", "prefix=" + strings.Repeat("p", 300), "fencing_token=-1", "fencing_token=18446744073709551616",
		"lease_id=", "lease_id=" + strings.Repeat("l", 5000), "a=b;c=d", "%=%", "&&&&", "unknown=1", "ttl[]=1", "ttl%3D1",
	}
	headers = []string{
		"Host: example.com", "Host: localhost:99999", "Host: [::1", "Host: 127.0.0.1:0", "Origin: http://example.com", "Origin: null", "Sec-Fetch-Site: cross-site",
		"Idempotency-Key: short", "Idempotency-Key: " + strings.Repeat("k", 129), "Idempotency-Key: sp ace in the key of this", "Octostore-Lease: \xff", "Octostore-Lease: ",
		"Accept: text/plain;q=0, */*;q=x", "Accept: " + strings.Repeat("text/plain,", 500), "Prefer: wait=-1", "Prefer: wait=99999999999999999999", "Prefer: ;;;=", "X-Request-Id: \"",
		"Content-Type: multipart/form-data", "Content-Type: application/json; charset=utf-16", "Content-Encoding: gzip", "Expect: 100-continue", "Expect: x", "Upgrade: websocket",
		"Connection: upgrade", "Connection: keep-alive, close, \x00", "X: " + strings.Repeat("x", 20_000), "no colon", ": no name", " folded", "Range: bytes=0-", "TE: trailers", "Trailer: Content-Length",
	}
	framings = []string{
		"Content-Length: 0", "Content-Length: 5", "Content-Length: 100000", "Content-Length: -1", "Content-Length: +5", "Content-Length: 5, 5", "Content-Length: 0x5", "Content-Length: 99999999999999999999", "Content-Length:",
		"Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: \x0bchunked",
	}
	bodies = []string{
		"{", "{}", "[]", "null", "\"\"", "{}{}", `{"ttl":1,"ttl":1}`, `{"ttl":null}`, `{"ttl":1e400}`, `{"ttl":{"a":[]}}`, `{"metadata":[]}`, `{"metadata":{"k":1}}`, `{"holder":"\ud800"}`, `{"holder":"` + "\xff" + `"}`,
		strings.Repeat("[", 10_000), `{"metadata":` + strings.Repeat(`{"a":`, 3_000), strings.Repeat("a", 17_000), strings.Repeat("ttl=1s&", 1_000), "\x1f\x8b\x08\x00", "\xef\xbb\xbf{}", "{\"ttl\":1}\x00", "%%%", strings.Repeat("&", 16_000),
	}
)

package transport

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var (
	mutations    = flag.Int("torture.mutations", 1000, "how many mutated requests the lane and net/http are compared with")
	mutationSeed = flag.Int("torture.seed", 1, "where their seeds begin")
)

// parts are what mutations put into requests.
var parts = []string{
	"\r", "\n", "\r\n", "\r\n\r\n", "\x00", "\t", " ", "  ", ":", "%", "%00", "%2F", "?", "#", "/", "//", ";", ",", "\xff", "\x7f", "\x0b", "{", "}", "\"", "=", "&",
	"GET ", "POST ", "HEAD ", "PUT ", " HTTP/1.1", " HTTP/1.0", " HTTP/2.0", "HTTP/1.1\r\n", "http://localhost", "/v1/locks/a", "/v1/locks/a/acquire", "/v1/locks/held/renew",
	"/v1/locks/held/release", "/acquire", "/renew", "?ttl=5", "?wait=5ms", "&wait=1", "Host: localhost\r\n", "Host: x\r\n", "Host:\r\n", "Content-Length: 0\r\n",
	"Content-Length: 5\r\n", "Content-Length: 4096\r\n", "Content-Length: 05\r\n", "Content-Length:\t5\r\n", "content-length: 5\r\n", "Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: identity\r\n", "transfer-encoding:\tchunked\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: upgrade\r\n", "Connection: a, close\r\n",
	"Expect: 100-continue\r\n", "Upgrade: h2c\r\n", "Trailer: x\r\n", "TE: trailers\r\n", " folded\r\n", "X: y\r\n", "Octostore-Lease: {lease}\r\n", "Prefer: wait=1\r\n",
	"X-Request-Id: mine\r\n", "Origin: http://evil.example\r\n", "Authorization: Bearer x\r\n", "Content-Type: application/json\r\n", "Idempotency-Key: 0123456789abcdef\r\n",
	"ttl=5", "0\r\n\r\n", "5\r\nttl=5\r\n0\r\n\r\n", status + "\r\n", acquire + "\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

// mutated returns one or several of the requests, changed in a few places and cut into pieces.
func mutated(r *rand.Rand, seeds []string) script {
	var sent string
	for range 1 + r.IntN(3) {
		sent += seeds[r.IntN(len(seeds))]
	}
	for range r.IntN(4) {
		at := r.IntN(len(sent) + 1)
		to := min(len(sent), at+r.IntN(12))
		switch r.IntN(5) {
		case 0: // leave out
			sent = sent[:at] + sent[to:]
		case 1: // put in
			sent = sent[:at] + parts[r.IntN(len(parts))] + sent[at:]
		case 2: // put in place
			sent = sent[:at] + parts[r.IntN(len(parts))] + sent[to:]
		case 3: // put in as a line of its own
			if n := strings.Index(sent[at:], "\r\n"); n >= 0 {
				at += n + 2
				sent = sent[:at] + parts[r.IntN(len(parts))] + sent[at:]
			}
		case 4: // twice
			sent = sent[:to] + sent[at:]
		}
	}
	s := script{sent}
	for r.IntN(2) == 0 && len(s) < 4 {
		end := s[len(s)-1]
		s = append(s[:len(s)-1], script{end}.cut(r.IntN(len(end)+1))...)
	}
	return s
}

// TestLaneAnswersMutations sends requests to the lane and to net/http in which something was left
// out, put in or exchanged.
func TestLaneAnswersMutations(t *testing.T) {
	t.Parallel()
	all := corpus()
	maps.Copy(all, recordedScripts(t))
	var seeds []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := strings.Join(all[name], "")
		if len(s) < 3000 && strings.Contains(s, lockPrefix) && !strings.Contains(s, "{token}") {
			seeds = append(seeds, s)
		}
	}
	ws := newTwins(t, false, byLane.serve)
	for seed := *mutationSeed; seed < *mutationSeed+*mutations; seed++ {
		s := mutated(rand.New(rand.NewPCG(uint64(seed), 0)), seeds)
		if !strings.Contains(strings.Join(s, ""), "/drain") {
			ws.play(t, fmt.Sprintf("seed %d", seed), s)
		}
	}
}

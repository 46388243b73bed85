package transport

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// These tests show that the lane is net/http to its clients.

// corpus returns all scripts but the recorded ones.
func corpus() map[string]script {
	all := plainScripts()
	maps.Copy(all, mixedScripts())
	maps.Copy(all, hostileScripts())
	return all
}

// playAll plays scripts in the order of their names.
func (ws *twins) playAll(t *testing.T, scripts map[string]script) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		ws.play(t, name, scripts[name])
	}
}

// TestLaneAnswersAsNetHTTP sends the corpus to the lane and to net/http.
func TestLaneAnswersAsNetHTTP(t *testing.T) {
	t.Parallel()
	newTwins(t, false, byLane.serve).playAll(t, corpus())
	withTokens := map[string]script{}
	for name, s := range plainScripts() {
		withTokens[name] = s.withToken()
	}
	newTwins(t, true, byLane.serve).playAll(t, withTokens)
}

// TestLaneAnswersRecordedRequests sends the requests of all tests to the lane and to net/http.
func TestLaneAnswersRecordedRequests(t *testing.T) {
	t.Parallel()
	of := map[bool]*twins{false: newTwins(t, false, byLane.serve), true: newTwins(t, true, byLane.serve)}
	scripts := recordedScripts(t)
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		of[strings.Contains(scripts[name][0], "{token}")].play(t, name, scripts[name])
	}
}

// TestLaneReadsWhereverPacketsEnd cuts requests into two at every byte.
func TestLaneReadsWhereverPacketsEnd(t *testing.T) {
	t.Parallel()
	ws := newTwins(t, false, byLane.serve)
	all := corpus()
	for _, name := range []string{"all at once", "chunks, behind a body", "acquire: both lengths", "close, then another", "blank line behind a body"} {
		ws.playCuts(t, name, all[name])
	}
}

// playCuts cuts a script into two at every byte.
func (ws *twins) playCuts(t *testing.T, name string, s script) {
	t.Helper()
	for n := range len(ws[0].fill(strings.Join(s, ""))) {
		ws.play(t, fmt.Sprintf("%s, cut at %d", name, n), s.cut(n))
	}
}

var cutStep = flag.Int("cut-step", 40, "how many bytes apart TestLaneReadsWhereverAnyPacketEnds cuts requests")

// TestLaneReadsWhereverAnyPacketEnds does that to all scripts that are not too long, at some bytes
// of each.
func TestLaneReadsWhereverAnyPacketEnds(t *testing.T) {
	all := corpus()
	maps.Copy(all, recordedScripts(t))
	ws := newTwins(t, false, byLane.serve)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		s := strings.Join(all[name], "")
		if len(s) > 1000 || strings.Contains(s, "{token}") {
			continue
		}
		for n := i % *cutStep; n < len(s); n += *cutStep {
			ws.play(t, fmt.Sprintf("%s, cut at %d", name, n), script{s}.cut(n))
		}
	}
}

// FuzzLane sends anything to the lane and to net/http, in up to three pieces.
func FuzzLane(f *testing.F) {
	ws := newTwins(f, false, byLane.serve)
	seeds := plainScripts()
	if flag.Lookup("test.fuzz").Value.String() != "" { // otherwise other tests play them
		seeds = corpus()
		maps.Copy(seeds, recordedScripts(f))
	}
	for _, name := range slices.Sorted(maps.Keys(seeds)) {
		f.Add([]byte(strings.Join(seeds[name], "")), uint16(len(seeds[name][0])/2), uint16(len(seeds[name][0])))
	}
	f.Fuzz(func(t *testing.T, sent []byte, first, second uint16) {
		if len(sent) > 32<<10 || bytes.Contains(sent, []byte("/drain")) {
			return // not for both servers at any time
		}
		s := script{string(sent)}.cut(int(first))
		if second > first {
			s = append(script{s[0]}, script{s[1]}.cut(int(second-first))...)
		}
		ws.play(t, "fuzz", s)
	})
}

// TestTwinsNoticeAnotherServer has the other twin differ from net/http, in what it answers, in how
// it reads, and in how connections end.
func TestTwinsNoticeAnotherServer(t *testing.T) {
	for name, other := range map[string]serving{
		"a header is missing": handling(func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&changing{w, func(int) int { w.Header().Del("X-Content-Type-Options"); return 0 }}, r)
		}),
		"a status differs": handling(func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&changing{w, func(status int) int {
				if status == http.StatusConflict {
					return http.StatusLocked
				}
				return 0
			}}, r)
		}),
		"connections end": handling(func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			h.ServeHTTP(w, r)
		}),
		"bodies are lost": handling(func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, 0
			h.ServeHTTP(w, r)
		}),
		"header lines are lost": handling(func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			if len(r.Header["Octostore-Lease"]) > 1 {
				r.Header["Octostore-Lease"] = r.Header["Octostore-Lease"][:1]
			}
			h.ServeHTTP(w, r)
		}),
		"two lengths are one": reading(func(b []byte) []byte {
			return bytes.Replace(b, []byte("Content-Length: 6\r\n"), nil, 1)
		}),
		"spaces before colons are lost": reading(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(" : "), []byte(": "))
		}),
		"folded lines are joined": reading(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("\r\n "), []byte(" "))
		}),
		"NULs are lost": reading(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("\x00"), nil)
		}),
		"no more is read than one request": reading(func(b []byte) []byte {
			if i := bytes.Index(b, []byte("\r\n\r\n")); i > 0 && bytes.HasPrefix(b, []byte("GET /v1/locks/a ")) {
				return b[:i+4]
			}
			return b
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, scripts := newTwins(t, false, other), corpus()
			for _, of := range slices.Sorted(maps.Keys(scripts)) {
				if strings.Contains(of, " of ") {
					continue // the large ones take longer
				}
				if one, other := ws.outcomes(t, scripts[of]); !one.equal(other) {
					t.Logf("by %s", of)
					return
				}
			}
			t.Error("nothing was noticed")
		})
	}
}

// handling is net/http with a handler that differs.
func handling(handle func(h http.Handler, w http.ResponseWriter, r *http.Request)) serving {
	return func(t testing.TB, s *server, l net.Listener) {
		srv := s.Server()
		h := srv.Handler
		srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(h, w, r) })
		serveBy(t, srv, s, l)
	}
}

// changing changes the status, if it returns another.
type changing struct {
	http.ResponseWriter
	change func(status int) int
}

func (c *changing) WriteHeader(status int) {
	if other := c.change(status); other != 0 {
		status = other
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *changing) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// reading is net/http that reads something else than what was sent.
func reading(read func(b []byte) []byte) serving {
	return func(t testing.TB, s *server, l net.Listener) {
		serveBy(t, s.Server(), s, &misreading{l, read})
	}
}

type misreading struct {
	net.Listener
	read func(b []byte) []byte
}

type misreadConn struct {
	net.Conn
	read func(b []byte) []byte
}

func (l *misreading) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &misreadConn{c, l.read}, nil
}

func (c *misreadConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		n = copy(b, c.read(bytes.Clone(b[:n])))
	}
	return n, err
}

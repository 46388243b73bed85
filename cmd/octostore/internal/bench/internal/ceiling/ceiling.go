// Package ceiling is the server that others are compared with: net/http and a router, the
// same requests, and answers of the same length that mean nothing.
package ceiling

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// Answers of the ceiling, as long as those of an OctoStore server.
var (
	ceilingAcquired = fixed(
		`{"name":"bench/abcdefgh/c0001/01","lease_id":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","fencing_token":1867654321234567,` +
			`"account":"local","holder":"","ttl_ms":60000,"expires_in_ms":59999,"server_ms":0,"waited_ms":0,"wait_ms":0,` +
			`"granted_at":"2026-01-01T00:00:00.123Z","expires_at":"2026-01-01T00:01:00.123Z"}`,
	)
	ceilingReleased = fixed(`{"name":"bench/abcdefgh/c0001/01","fencing_token":1867654321234567,"held_ms":0}`)
	ceilingHeld     = fixed(`{"name":"bench/abcdefgh/read","state":"held","lease":{"fencing_token":1867654321234567,` +
		`"account":"local","holder":"","reason":"","ttl_ms":60000,"expires_in_ms":59999,` +
		`"granted_at":"2026-01-01T00:00:00.123Z","expires_at":"2026-01-01T00:01:00.123Z"},"waiters_total":0,"waiters":[]}`)
)

// Headers of the ceiling's answers, made once.
var (
	ceilingType      = []string{"application/json"}
	ceilingCache     = []string{"no-store"}
	ceilingSniff     = []string{"nosniff"}
	ceilingRequestID = []string{"abcdefghij-1234567"}
)

// canned is a prepared answer.
type canned struct {
	body   []byte
	length []string
}

func fixed(body string) *canned {
	return &canned{body: []byte(body + "\n"), length: []string{strconv.Itoa(len(body) + 1)}}
}

func (c *canned) write(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = ceilingType
	h["Content-Length"] = c.length
	h["Cache-Control"] = ceilingCache
	h["X-Content-Type-Options"] = ceilingSniff
	h["X-Request-Id"] = ceilingRequestID
	w.Write(c.body)
}

// Serve serves the ceiling until ctx ends: net/http and a router, the same requests, and
// answers of the same length that mean nothing. It prints on out where it listens, in the
// format of an OctoStore server.
//
// Waiting requests are really parked and really handed over, in memory, so that this can be
// compared, too.
func Serve(ctx context.Context, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: NewHandler(), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := json.NewEncoder(out).Encode(map[string]string{"msg": "listening", "addr": listener.Addr().String()}); err != nil {
		listener.Close()
		return err
	}
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// ceiling is the least work that a server with this interface can do.
type ceiling struct {
	batons sync.Map // name -> *baton, of locks with waiters
}

// baton is passed between the waiters of one lock, over a channel because channels are fair.
type baton struct {
	free    chan struct{}
	waiting atomic.Int64
}

// NewHandler returns the handler of a ceiling without waiters.
func NewHandler() http.Handler {
	c := &ceiling{}
	routes := httprouter.New()
	routes.POST("/v1/locks/*path", c.change)
	routes.GET("/v1/locks/*path", c.status)
	routes.GET("/metrics", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { usage.WriteOwn(w) })
	return routes
}

func (c *ceiling) change(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
	path := p.ByName("path")
	name, verb := path[:max(0, strings.LastIndexByte(path, '/'))], path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case verb == "release":
		if b, ok := c.batons.Load(name); ok {
			b.(*baton).free <- struct{}{}
		}
		ceilingReleased.write(w)
	case verb != "acquire":
		http.NotFound(w, r)
	case !strings.Contains(r.URL.RawQuery, "wait=") || c.wait(r.Context(), name):
		ceilingAcquired.write(w)
	}
}

// wait reports whether the baton came before the client left.
func (c *ceiling) wait(ctx context.Context, name string) bool {
	fresh := &baton{free: make(chan struct{}, 1)}
	fresh.free <- struct{}{}
	found, _ := c.batons.LoadOrStore(name, fresh)
	b := found.(*baton)
	select {
	case <-b.free:
		return true
	default:
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	select {
	case <-b.free:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *ceiling) status(w http.ResponseWriter, _ *http.Request, p httprouter.Params) {
	if b, ok := c.batons.Load(p.ByName("path")); ok {
		fixed(fmt.Sprintf(`{"state":"held","waiters_total":%d}`, b.(*baton).waiting.Load())).write(w)
		return
	}
	ceilingHeld.write(w)
}

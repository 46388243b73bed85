package audittool

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/client"
)

func TestRecordsForPeople(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`{"seq":7,"time":"2026-03-04T12:00:00.123456Z","kind":"granted","name":"deploy/prod","token":7,"account":"acme","holder":"ci-1","reason":"release","ttl_ms":60000,"waited_ms":1500,"remote_addr":"127.0.0.1:9","prev":""}`,
			`granted       deploy/prod  ci-1@acme  token 7  waited 1.5s  "release"  from 127.0.0.1:9`},
		{`{"seq":7,"time":"2026-03-04T12:00:00.123456Z","kind":"granted","name":"x","token":7,"account":"acme","ttl_ms":60000,"waited_ms":1500,"priority":"back","prev":""}`,
			`granted       x  acme  token 7  waited 1.5s  priority back`},
		{`{"seq":9,"time":"2026-03-04T12:00:02Z","kind":"broken","name":"a","token":7,"account":"acme","held_ms":2000,"by":"ops","cause":"stuck","prev":""}`,
			`broken        a  acme by ops  token 7  held 2s  "stuck"`},
		{`{"seq":12,"time":"2026-03-04T12:00:03Z","kind":"policy_error","prev":""}`, `policy_error`},
	} {
		got, err := readableLine([]byte(tt.line))
		if err != nil || !strings.HasSuffix(got, "  "+tt.want+"\n") {
			t.Errorf("got %q, %v, want %q", got, err, tt.want)
		}
	}
}

// A connection that breaks is made again also when nothing has matched the filter yet.
func TestTailOutlivesAConnectionThatToldNothing(t *testing.T) {
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"export":1,"verifiable":false,"after":"0"}`+"\n")
		if asked.Add(1) == 1 {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		cancel()
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	var errors strings.Builder
	f := tail{client: c, query: client.AuditQuery{Follow: true, Since: "1h"}, out: io.Discard, errors: &errors, show: jsonLine}
	if err := f.run(ctx); err != nil || asked.Load() != 2 {
		t.Errorf("%v after %d connections, want to be ended in the second", err, asked.Load())
	}
	if !strings.Contains(errors.String(), "the connection is lost; trying again") {
		t.Errorf("it said %q", errors.String())
	}
}

// A server that has no seat at the moment is asked again.
func TestTailComesBackWhenThereIsASeat(t *testing.T) {
	asked := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			io.WriteString(w, "{\"export\":1}\n{\"seq\":7}\n{\"end\":true,\"last\":\"7\"}\n")
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			cancel()
		}
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	f := tail{client: c, query: client.AuditQuery{Follow: true}, out: io.Discard, errors: io.Discard, show: jsonLine, wait: time.Millisecond}
	if err := f.run(ctx); err != nil || asked != 3 {
		t.Errorf("asked %d times, then %v", asked, err)
	}
}

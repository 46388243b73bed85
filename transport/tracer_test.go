package transport

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// spans is a tracer that keeps what it is told.
type spans struct{ ended []SpanRequest }

type inSpan struct{}

func (s *spans) Begin(r *http.Request, _ time.Time) (context.Context, Span) {
	return context.WithValue(r.Context(), inSpan{}, true), spanOf{s}
}

type spanOf struct{ of *spans }

func (spanOf) TraceID() string                  { return "0af7651916cd43dd8448eb211c80319c" }
func (s spanOf) End(_ time.Time, r SpanRequest) { s.of.ended = append(s.of.ended, r) }

func TestTracerSeesRequests(t *testing.T) {
	tracer := new(spans)
	s := newServer(t, setup{tracer: tracer})
	s.do(t, "POST /v1/locks/prod/db/acquire?holder=h").want(200)
	s.do(t, "POST /v1/locks/prod/db/acquire").want(409)
	s.do(t, "GET /nowhere").want(404)
	s.do(t, "GET /healthz").want(200)
	s.do(t, "GET /readyz").want(200)
	want := []SpanRequest{
		{Method: "POST", Route: "/v1/locks/{name}/acquire", Status: 200, Code: "ok", Lock: "prod/db", Account: "local"},
		{Method: "POST", Route: "/v1/locks/{name}/acquire", Status: 409, Code: "held", Lock: "prod/db", Account: "local"},
		{Method: "GET", Status: 404, Code: "not_found"},
	}
	if len(tracer.ended) != len(want) {
		t.Fatalf("%d spans, want %d: %+v", len(tracer.ended), len(want), tracer.ended)
	}
	for i, got := range tracer.ended {
		if got.ID == "" || got.RemoteAddr == "" {
			t.Errorf("without id or address: %+v", got)
		}
		if got.ID, got.RemoteAddr = "", ""; got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
	if log := string(s.do(t, "GET /v1/audit?prefix=prod").body); !strings.Contains(log, `"trace_id":"0af7651916cd43dd8448eb211c80319c"`) {
		t.Errorf("the audit log has another trace:\n%s", log)
	}
}

// A handler that panics ends its span, too.
func TestTracerSeesPanics(t *testing.T) {
	tracer := new(spans)
	s := newServer(t, setup{tracer: tracer})
	func() {
		x := s.begin(newSink(), newRequest("GET /v1/locks", nil).http())
		defer func() { x.finish(recover()) }()
		panic("on purpose")
	}()
	if len(tracer.ended) != 1 || tracer.ended[0].Status != 500 {
		t.Errorf("%+v", tracer.ended)
	}
}

// Without a tracer a read allocates what it did before there were tracers: the span is neither begun nor
// described.
func TestTracerThatIsOffCostsNothing(t *testing.T) {
	cost := func(tracer Tracer) float64 {
		s := newServer(t, setup{tracer: tracer})
		w := newSink()
		get := newRequest("GET /v1/locks/a", nil).http()
		get.Host = "localhost"
		return testing.AllocsPerRun(1000, func() {
			clear(w.h)
			s.ServeHTTP(w, get)
		})
	}
	off, probe := cost(nil), cost(new(spans))
	if off >= probe {
		t.Errorf("%v allocations without a tracer, %v with one", off, probe)
	}
	if off > 8 {
		t.Errorf("%v allocations without a tracer", off)
	}
}

package server

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/memory"
)

// A server that stops sends the spans of its last requests.
func TestTracesAreSentAtTheEnd(t *testing.T) {
	var bytes atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { bytes.Add(r.ContentLength) }))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
	s := startTest(t, &shelf{Store: memory.New()})
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire"), 200, "")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if bytes.Load() == 0 {
		t.Error("no spans were sent")
	}
}

// A collector that does not answer keeps no server from stopping in good order.
func TestTracesDoNotHoldUpTheEnd(t *testing.T) {
	hung := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	defer collector.Close()
	defer close(hung)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	s := startTest(t, &shelf{Store: memory.New()})
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire"), 200, "")
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

package tracing

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport"
)

const soon = 20 * time.Second

// receiver is a collector that keeps what it gets.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*otlp.Span
	resource map[string]string
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{resource: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var got collector.ExportTraceServiceRequest
	if req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &got) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range got.ResourceSpans {
		for _, a := range one.Resource.Attributes {
			r.resource[a.Key] = a.Value.GetStringValue()
		}
		for _, scope := range one.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
}

// named returns the spans whose name begins so.
func (r *receiver) named(prefix string) (found []*otlp.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if strings.HasPrefix(s.Name, prefix) {
			found = append(found, s)
		}
	}
	return found
}

func (r *receiver) one(t *testing.T, prefix string) *otlp.Span {
	t.Helper()
	found := r.named(prefix)
	if len(found) != 1 {
		t.Fatalf("%d spans %q, want 1", len(found), prefix)
	}
	return found[0]
}

func attributeOf(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if text := a.Value.GetStringValue(); text != "" {
				return text
			}
			return a.Value.String()
		}
	}
	return ""
}

// openWith opens a tracer with variables, which the library reads from the environment.
func openWith(t *testing.T, variables ...string) (*Tracer, *logged) {
	t.Helper()
	set := map[string]string{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		set[name] = value
		t.Setenv(name, value)
	}
	log := new(logged)
	tracer := Open(context.Background(), Config{
		Getenv: func(name string) string { return set[name] }, Console: log, Logger: slog.New(slog.NewTextHandler(log, nil)), Version: "1.2.3",
	})
	return tracer, log
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func flush(t *testing.T, tracer *Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := tracer.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func requestOf(traceparent string) *http.Request {
	r := httptest.NewRequest("POST", "/v1/locks/a/acquire?lease_id=secret", nil)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	return r
}

const (
	sampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	otherParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// A request with a policy call, a wait and a commit: their names, parents, links, times and statuses.
func TestTraceOfARequest(t *testing.T) {
	r := startReceiver(t)
	tracer, log := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_SERVICE_NAME=locks", "OTEL_RESOURCE_ATTRIBUTES=team=infra")
	if strings.Contains(log.String(), "level=WARN") {
		t.Errorf("good variables are a warning: %s", log)
	}
	began := time.Now()
	ctx, span := tracer.Begin(requestOf(sampledParent), began)
	if got := span.TraceID(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the trace id is %q, want that of the client", got)
	}
	tracer.Call(ctx, "freeze", core.HookAcquire, core.PhaseRequest)("error", "trap", 42)
	of := tracer.Of(ctx)
	of.Queued(began, began.Add(time.Second), nil)
	tracer.Committed(began.Add(time.Second), began.Add(2*time.Second), 3, nil, []table.Trace{of})
	span.End(began.Add(3*time.Second), transport.SpanRequest{
		Method: "POST", Route: "/v1/locks/{name}/acquire", Status: 503, Code: "policy_error", ID: "id-1", Lock: "prod/db", Account: "ci", RemoteAddr: "192.0.2.1:5",
	})
	flush(t, tracer)

	request := r.one(t, "POST /v1/locks/{name}/acquire")
	if got := string(request.ParentSpanId); got != "\xb7\xad\x6b\x71\x69\x20\x33\x31" {
		t.Errorf("the parent is %x", got)
	}
	if request.EndTimeUnixNano-request.StartTimeUnixNano != uint64(3*time.Second) || request.Kind != otlp.Span_SPAN_KIND_SERVER {
		t.Errorf("times or kind: %v", request)
	}
	if request.Status.Code != otlp.Status_STATUS_CODE_ERROR || request.Status.Message != "policy_error" {
		t.Errorf("the status is %v", request.Status)
	}
	for key, want := range map[string]string{
		"http.request.method": "POST", "octostore.code": "policy_error", "octostore.request_id": "id-1",
		"octostore.lock": "prod/db", "octostore.account": "ci", "client.address": "192.0.2.1",
	} {
		if got := attributeOf(request, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, name := range []string{"policy freeze", "queue"} {
		if child := r.one(t, name); !bytes.Equal(child.ParentSpanId, request.SpanId) || !bytes.Equal(child.TraceId, request.TraceId) {
			t.Errorf("%s is no child of the request", name)
		}
	}
	if s := r.one(t, "policy freeze").Status; s.Code != otlp.Status_STATUS_CODE_ERROR || s.Message != "trap" {
		t.Errorf("the status of the policy is %v", s)
	}
	commit := r.one(t, "commit")
	if len(commit.ParentSpanId) != 0 || bytes.Equal(commit.TraceId, request.TraceId) {
		t.Error("the commit is in the trace of a request")
	}
	if len(commit.Links) != 1 || !bytes.Equal(commit.Links[0].SpanId, request.SpanId) {
		t.Errorf("the commit has the links %v", commit.Links)
	}
	if len(request.Links) != 1 || !bytes.Equal(request.Links[0].SpanId, commit.SpanId) {
		t.Errorf("the request has the links %v", request.Links)
	}
	if r.resource["service.name"] != "locks" || r.resource["team"] != "infra" || r.resource["service.version"] != "1.2.3" {
		t.Errorf("the resource is %v", r.resource)
	}
	for _, s := range r.spans {
		if strings.Contains(s.String(), "secret") {
			t.Errorf("a span has the query: %v", s)
		}
	}
}

// A refusal is the client's affair, and no error of the server.
func TestTraceOfARefusalIsNoError(t *testing.T) {
	r := startReceiver(t)
	tracer, _ := openWith(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+r.URL+"/v1/traces")
	for status, code := range map[int]string{409: "held", 0: "gone"} {
		_, span := tracer.Begin(requestOf(""), time.Now())
		span.End(time.Now(), transport.SpanRequest{Method: "POST", Route: "/" + code, Status: status, Code: code})
	}
	flush(t, tracer)
	if s := r.one(t, "POST /held").Status; s.GetCode() != otlp.Status_STATUS_CODE_UNSET {
		t.Errorf("a 409 is %v", s)
	}
	if s := r.one(t, "POST /gone").Status; s.GetCode() != otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("a connection closed without an answer is %v", s)
	}
}

func TestTraceIsSampledAsItsClientSays(t *testing.T) {
	r := startReceiver(t)
	tracer, _ := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_TRACES_SAMPLER=parentbased_always_off")
	for _, parent := range []string{"", otherParent, "nonsense", sampledParent} {
		ctx, span := tracer.Begin(requestOf(parent), time.Now())
		if sampled := parent == sampledParent; (tracer.Of(ctx) != nil) != sampled || (span.TraceID() != "") != sampled ||
			(tracer.Call(ctx, "p", core.HookAcquire, core.PhaseRequest) != nil) != sampled {
			t.Errorf("%q: wrongly sampled", parent)
		}
		span.End(time.Now(), transport.SpanRequest{Method: "GET", Route: "/x", Status: 200})
	}
	flush(t, tracer)
	r.one(t, "GET /x")
}

func TestTraceVariables(t *testing.T) {
	for _, c := range []struct {
		name      string
		variables []string
		exporter  string
		warns     bool
	}{
		{"nothing", nil, exporterNone, false},
		{"an endpoint", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://x"}, exporterOTLP, false},
		{"an endpoint for traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://x"}, exporterOTLP, false},
		{"an exporter", []string{"OTEL_TRACES_EXPORTER=otlp"}, exporterOTLP, false},
		{"the console", []string{"OTEL_TRACES_EXPORTER=console"}, exporterConsole, false},
		{"none beside an endpoint", []string{"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://x"}, exporterNone, false},
		{"off", []string{"OTEL_SDK_DISABLED=True", "OTEL_TRACES_EXPORTER=console"}, exporterNone, false},
		{"not off", []string{"OTEL_SDK_DISABLED=1", "OTEL_TRACES_EXPORTER=console"}, exporterConsole, false},
		{"an unknown exporter", []string{"OTEL_TRACES_EXPORTER=zipkin"}, exporterNone, true},
		{"another protocol", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://x", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, exporterNone, true},
		{"the protocol of traces counts", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://x", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
		}, exporterOTLP, false},
	} {
		set := map[string]string{}
		for _, v := range c.variables {
			name, value, _ := strings.Cut(v, "=")
			set[name] = value
		}
		name, why := exporterOf(func(name string) string { return set[name] })
		if name != c.exporter || (why != "") != c.warns {
			t.Errorf("%s: %q (%s)", c.name, name, why)
		}
	}
	tracer, log := openWith(t, "OTEL_TRACES_EXPORTER=zipkin")
	if tracer != nil || !strings.Contains(log.String(), "traces are off") {
		t.Errorf("an unknown exporter is used, or not logged: %s", log)
	}
	if err := tracer.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// Variables may be secrets, such as headers with a password for the collector: one that is malformed is
// logged without its value.
func TestTraceVariablesThatAreMalformedStaySecret(t *testing.T) {
	r := startReceiver(t)
	tracer, log := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_EXPORTER_OTLP_HEADERS=Bearer hunter2",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://user:hunter2@[", "OTEL_TRACES_SAMPLER=hunter3", "OTEL_BSP_MAX_QUEUE_SIZE=hunter2", "OTEL_RESOURCE_ATTRIBUTES=team")
	flush(t, tracer)
	for _, want := range []string{"parse headers", "parse url", "hunter3", "OTEL_BSP_MAX_QUEUE_SIZE", "missing value"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log has a secret:\n%s", log)
	}
}

// A commit may serve more requests than the library links by default.
func TestTraceOfACommitHasALinkForEachRequest(t *testing.T) {
	r := startReceiver(t)
	tracer, _ := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL)
	all := make([]table.Trace, 300)
	for i := range all {
		ctx, _ := tracer.Begin(requestOf(""), time.Now())
		all[i] = tracer.Of(ctx)
	}
	tracer.Committed(time.Now(), time.Now(), len(all), nil, all)
	flush(t, tracer)
	if got := len(r.one(t, "commit").Links); got != len(all) {
		t.Errorf("the commit has %d links, want %d", got, len(all))
	}
}

// A client may send any word as method, so it is no name of a span.
func TestTraceOfAnUnknownMethod(t *testing.T) {
	r := startReceiver(t)
	tracer, _ := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL)
	sent := requestOf("")
	sent.Method = strings.Repeat("X", 8000)
	_, span := tracer.Begin(sent, time.Now())
	span.End(time.Now(), transport.SpanRequest{Method: sent.Method, Status: 404, Code: "not_found"})
	flush(t, tracer)
	if s := r.one(t, "HTTP"); s.Name != "HTTP" || attributeOf(s, "http.request.method") != "_OTHER" {
		t.Errorf("the span is %v", s)
	}
}

// A collector that does not answer keeps no request waiting, however many there are, and costs no more
// memory than the queue has room for. Close ends in time, and the log tells how many spans were lost.
func TestTraceOfAHangingCollector(t *testing.T) {
	hung := make(chan struct{})
	collectors := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	t.Cleanup(collectors.Close)
	t.Cleanup(func() { close(hung) })
	tracer, log := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collectors.URL, "OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10")
	const spans = 5000
	began := time.Now()
	for range spans {
		_, span := tracer.Begin(requestOf(""), time.Now())
		span.End(time.Now(), transport.SpanRequest{Method: "GET", Route: "/x", Status: 200})
	}
	if took := time.Since(began); took > soon {
		t.Errorf("the spans took %s", took)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began = time.Now()
	_ = tracer.Close(ctx)
	if took := time.Since(began); took > soon {
		t.Errorf("the end took %s", took)
	}
	for _, want := range []string{"spans were dropped", "spans were lost"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, log)
		}
	}
	if n := strings.Count(log.String(), "spans were dropped"); n > 2 {
		t.Errorf("%d lines are logged about dropped spans", n)
	}
}

// A collector that is down is a warning a minute.
func TestTraceOfACollectorThatIsDown(t *testing.T) {
	tracer, log := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT=500")
	_, span := tracer.Begin(requestOf(""), time.Now())
	span.End(time.Now(), transport.SpanRequest{Method: "GET", Route: "/x", Status: 200})
	flush(t, tracer)
	if !strings.Contains(log.String(), "spans could not be sent") || !strings.Contains(log.String(), "lost=1") {
		t.Errorf("the log is\n%s", log)
	}
}

// A real lock table: the commit that grants a waiter its lock is linked with its request, the wait is a
// span, and requests that are not traced are in no link.
func TestTraceOfALockTable(t *testing.T) {
	r := startReceiver(t)
	tracer, _ := openWith(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_TRACES_SAMPLER=parentbased_always_off")
	locks, err := table.Open(context.Background(), memory.New(), table.Config{Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locks.Close() })
	by := lock.Origin{Actor: lock.Actor{Account: "ci"}}
	wants := lock.Acquisition{Origin: by, Name: "a", TTL: time.Minute}
	held, err := locks.Acquire(context.Background(), wants)
	if err != nil {
		t.Fatal(err)
	}
	wants.Wait = time.Minute
	ctx, span := tracer.Begin(requestOf(sampledParent), time.Now())
	granted := make(chan error, 1)
	go func() {
		_, err := locks.Acquire(ctx, wants)
		granted <- err
	}()
	for locks.Get("a").Waiters == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := locks.Release(context.Background(), lock.ReleaseRequest{Origin: by, Name: "a", LeaseID: held.LeaseID}); err != nil {
		t.Fatal(err)
	}
	if err := <-granted; err != nil {
		t.Fatal(err)
	}
	span.End(time.Now(), transport.SpanRequest{Method: "POST", Route: "/acquire", Status: 200})
	flush(t, tracer)
	request, commit, queue := r.one(t, "POST /acquire"), r.one(t, "commit"), r.one(t, "queue")
	if len(commit.Links) != 1 || !bytes.Equal(commit.Links[0].SpanId, request.SpanId) {
		t.Errorf("the commit has the links %v", commit.Links)
	}
	if !bytes.Equal(queue.ParentSpanId, request.SpanId) || attributeOf(queue, "octostore.outcome") != "granted" {
		t.Errorf("the wait is %v", queue)
	}
	if got := attributeOf(commit, "octostore.records"); !strings.Contains(got, "2") {
		t.Errorf("the commit has %s records, want the release and the grant", got)
	}
}

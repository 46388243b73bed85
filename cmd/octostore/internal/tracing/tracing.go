// Package tracing sends OpenTelemetry spans of requests, policy calls, queue waits and commits, as the
// OTEL_* variables say. Only the command imports it, and only it imports OpenTelemetry.
//
// It promises that nothing is sent unless a variable asks for it, that spans have no token, lease id,
// idempotency key or query, and that a slow or absent collector costs spans and never a request: spans
// go into a bounded queue, and those that do not fit are dropped and counted in the log.
package tracing

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/transport"
)

// Config says what a [Tracer] needs.
type Config struct {
	Getenv  func(string) string // of the OTEL_* variables
	Console io.Writer           // for the exporter console
	Logger  *slog.Logger
	Version string // of the program
}

// Tracer makes the spans of a server. It is safe for use by many goroutines. Make one with [Open].
type Tracer struct {
	requests *sdk.TracerProvider // samples as the variables say
	commits  *sdk.TracerProvider // samples all: only commits of sampled requests become spans
	request  trace.Tracer
	commit   trace.Tracer
	queue    *queue
}

// Compile-time proof that every part of a server can use a tracer.
var (
	_ transport.Tracer = (*Tracer)(nil)
	_ hooks.Tracer     = (*Tracer)(nil)
	_ table.Tracer     = (*Tracer)(nil)
)

// Open returns a tracer, or nil if no variable asks for traces, or if traces are off. A variable that
// cannot be used is a warning and turns traces off: a server has to start without them. The caller closes
// the tracer after the last request.
func Open(ctx context.Context, cfg Config) *Tracer {
	name, why := exporterOf(cfg.Getenv)
	if why != "" {
		cfg.Logger.Warn("traces are off", "why", why)
	}
	if name == exporterNone {
		return nil
	}
	sparse := sparselog.New(cfg.Logger)
	logLibrary(sparse) // before the library reads any variable
	exporter, err := newExporter(ctx, name, cfg)
	if err != nil {
		sparse.Close()
		cfg.Logger.Warn("traces are off", "why", err.Error())
		return nil
	}
	t := newTracer(ctx, exporter, sparse, cfg)
	cfg.Logger.Info("sending traces", "exporter", name)
	return t
}

func newTracer(ctx context.Context, exporter sdk.SpanExporter, sparse *sparselog.Log, cfg Config) *Tracer {
	t := &Tracer{queue: newQueue(exporter, cfg.Logger, sparse)}
	described := sdk.WithResource(resourceOf(ctx, cfg))
	into := sdk.WithSpanProcessor(t.queue)
	t.requests = sdk.NewTracerProvider(described, into)
	t.commits = sdk.NewTracerProvider(described, into, sdk.WithSampler(sdk.AlwaysSample()), sdk.WithRawSpanLimits(commitLimits()))
	const scope = "github.com/octostore/octostore"
	t.request = t.requests.Tracer(scope, trace.WithInstrumentationVersion(cfg.Version))
	t.commit = t.commits.Tracer(scope, trace.WithInstrumentationVersion(cfg.Version))
	return t
}

// commitLimits allows a commit a link to each of its requests, unless a variable limits links: the
// default of the library would leave out all but 128.
func commitLimits() sdk.SpanLimits {
	limits := sdk.NewSpanLimits()
	if os.Getenv("OTEL_SPAN_LINK_COUNT_LIMIT") == "" {
		limits.LinkCountLimit = -1 // none; the lock table bounds its batches
	}
	return limits
}

// Close sends what is in the queue, until ctx ends. Spans of requests that are under way are lost. It
// logs how many spans were dropped since Open.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.queue.close(ctx)
}

// fromHeaders reads traceparent and tracestate (W3C Trace Context).
var fromHeaders propagation.TraceContext

// Begin begins the span of a request. A traceparent of the client makes it part of a trace of the client,
// which is sampled if the client samples it, unless OTEL_TRACES_SAMPLER says otherwise.
func (t *Tracer) Begin(r *http.Request, at time.Time) (context.Context, transport.Span) {
	ctx := fromHeaders.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.request.Start(ctx, nameOf(r.Method, ""), trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindServer))
	return ctx, requestSpan{span}
}

type requestSpan struct{ trace.Span }

// TraceID returns the id of the trace, if it is recorded.
func (s requestSpan) TraceID() string {
	if !s.IsRecording() {
		return ""
	}
	return s.SpanContext().TraceID().String()
}

// End ends the span. Its status is an error if the server is at fault, as OpenTelemetry asks of servers.
func (s requestSpan) End(at time.Time, of transport.SpanRequest) {
	if s.IsRecording() {
		s.SetName(nameOf(of.Method, of.Route))
		s.SetAttributes(attributesOf(of)...)
		if of.Status == 0 || of.Status >= http.StatusInternalServerError {
			s.SetStatus(codes.Error, of.Code)
		}
	}
	s.Span.End(trace.WithTimestamp(at))
}

// otherMethod stands for methods that OctoStore does not know: a client may send any word, and of any
// length.
const otherMethod = "_OTHER"

func methodOf(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "LOCK", "UNLOCK":
		return method
	}
	return otherMethod
}

// nameOf returns the name of the span of a request. Without a route it is the method alone.
func nameOf(method, route string) string {
	if method = methodOf(method); method == otherMethod {
		method = "HTTP"
	}
	if route == "" {
		return method
	}
	return method + " " + route
}

func attributesOf(of transport.SpanRequest) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("http.request.method", methodOf(of.Method)),
		attribute.String("octostore.code", of.Code),
		attribute.String("octostore.request_id", of.ID),
	}
	if client, err := netip.ParseAddrPort(of.RemoteAddr); err == nil {
		all = append(all, attribute.String("client.address", client.Addr().String()), attribute.Int("client.port", int(client.Port())))
	}
	if of.Status != 0 {
		all = append(all, attribute.Int("http.response.status_code", of.Status))
	}
	for key, value := range map[string]string{"http.route": of.Route, "octostore.lock": of.Lock, "octostore.account": of.Account} {
		if value != "" {
			all = append(all, attribute.String(key, value))
		}
	}
	return all
}

// Call begins the span of a policy call.
func (t *Tracer) Call(ctx context.Context, policy string, hook core.Hook, phase core.Phase) func(verdict, kind string, fuel int64) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return nil
	}
	_, span := t.request.Start(ctx, "policy "+policy, trace.WithAttributes(
		attribute.String("octostore.policy", policy),
		attribute.String("octostore.hook", string(hook)),
		attribute.String("octostore.phase", string(phase)),
	))
	return func(verdict, kind string, fuel int64) {
		span.SetAttributes(attribute.String("octostore.verdict", verdict), attribute.Int64("octostore.fuel", fuel))
		if verdict == "error" {
			span.SetStatus(codes.Error, kind)
		}
		span.End()
	}
}

// Of returns the trace of a request whose span is recorded.
func (t *Tracer) Of(ctx context.Context) table.Trace {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return nil
	}
	return &tableTrace{t, span}
}

// tableTrace is a request in the lock table.
type tableTrace struct {
	of   *Tracer
	span trace.Span
}

// Queued makes the span of a wait in a queue.
func (r *tableTrace) Queued(from, to time.Time, err error) {
	outcome := "granted"
	if err != nil {
		outcome = "left"
	}
	ctx := trace.ContextWithSpan(context.Background(), r.span)
	_, span := r.of.request.Start(ctx, "queue", trace.WithTimestamp(from),
		trace.WithAttributes(attribute.String("octostore.outcome", outcome)))
	span.End(trace.WithTimestamp(to))
}

// Committed makes the span of a commit, and links it with the requests that it answers: a batch has many
// requests, so it is in no trace of theirs.
func (t *Tracer) Committed(began, ended time.Time, records int, err error, requests []table.Trace) {
	links := make([]trace.Link, len(requests))
	for i, r := range requests {
		links[i].SpanContext = r.(*tableTrace).span.SpanContext()
	}
	_, span := t.commit.Start(context.Background(), "commit", trace.WithTimestamp(began), trace.WithLinks(links...),
		trace.WithAttributes(attribute.Int("octostore.records", records), attribute.Int("octostore.requests", len(requests))))
	for _, r := range requests {
		r.(*tableTrace).span.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	if err != nil {
		span.SetStatus(codes.Error, fmt.Sprint(err))
	}
	span.End(trace.WithTimestamp(ended))
}

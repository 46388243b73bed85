// Package span says what the HTTP server tells a tracer about its requests. It promises that a server
// without a tracer does nothing for it, and it knows no tracer: the command has one.
package span

import (
	"context"
	"net/http"
	"time"
)

// Tracer records spans of requests. It is safe for use by many goroutines.
type Tracer interface {
	// Begin begins the span of a request that arrived at an instant. It returns the context of the
	// request with the span in it. The caller ends the span.
	Begin(r *http.Request, at time.Time) (context.Context, Span)
}

// Span is the span of one request.
type Span interface {
	// TraceID returns the id of the trace, 32 hexadecimal digits, or nothing if the span is not recorded.
	TraceID() string
	// End ends the span. It is called once, and by the goroutine of the request.
	End(at time.Time, of Request)
}

// Request is what a span says of a request. It has no token, lease id, idempotency key or query.
type Request struct {
	Method, Route string // Route is a pattern; empty: no route answers the request
	Status        int    // of the answer; 0: the connection was closed without one
	Code          string // of the problem, or ok
	ID            string
	Lock, Account string // empty: none
	RemoteAddr    string // address and port of the client
}

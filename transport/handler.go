package transport

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/span"
	"github.com/octostore/octostore/transport/internal/wire"
)

// Handlers have one of two shapes.
//
// Most are functions of a context, the caller and the parameters of the request, and return
// an answer or an error; [respond] turns both into bytes.
//
// Handlers that need the connection are methods of the exchange: acquire and break, whose
// grant is undone if the answer cannot be delivered; logins, whose new token is revoked if it
// cannot be; streams; login pages, which set headers; metrics and profiles, which other
// packages serve. They too return an error instead of answering with one.

// respond returns a function that calls a handler of the first shape for an exchange.
func respond[A wire.Answer](handle func(*API, context.Context, *caller, *param.Values) (A, error)) func(*exchange) error {
	return func(x *exchange) error {
		answer, err := handle(x.api, x.context(), &x.caller, &x.params)
		if err != nil {
			return err
		}
		head := answer.Head()
		times := x.times()
		x.buf = answer.Append(x.buf[:0], times)
		if head.Code != "" {
			x.code = head.Code
		}
		return x.replyAt(head.Status, head.ContentType, times.Now)
	}
}

func (x *exchange) times() wire.Times { return wire.Times{Received: x.started, Now: time.Now()} }

// caller is the client of a request: its account, and where the request came from.
type caller struct {
	principal auth.Principal
	r         *http.Request
	id        string    // of the request
	started   time.Time // when the request arrived
	traceID   string    // of its span; empty: it has none, or it is not recorded
	listener  listener  // on which the request arrived
}

// origin returns where the request came from, for the audit log.
func (c *caller) origin() lock.Origin {
	return lock.Origin{
		Actor:     lock.Actor{RemoteAddr: c.r.RemoteAddr, UserAgent: printable(first(c.r.Header["User-Agent"]))},
		RequestID: c.id,
		TraceID:   cmp.Or(c.traceID, traceID(c.r.Header["Traceparent"])),
	}
}

// actor is origin with the account and the token of the caller.
func (c *caller) actor() lock.Origin {
	o := c.origin()
	o.Actor.Account, o.Actor.TokenID = c.principal.Account, c.principal.TokenID
	return o
}

// sees returns a function that reports whether the caller may do verb to a lock.
func (c *caller) sees(verb auth.Verb) func(lock.Name) bool {
	who := c.principal
	return func(n lock.Name) bool { return who.May(verb, n) }
}

// Tracer records spans of requests, and Span is one of them. Probes have none.
type (
	Tracer = span.Tracer
	Span   = span.Span
	// SpanRequest is what a span says of a request.
	SpanRequest = span.Request
)

// beginSpan begins the span of the request, whose context has the span from then on.
func (x *exchange) beginSpan() {
	ctx, span := x.api.tracer.Begin(x.r, x.started)
	x.r, x.span, x.traceID = x.r.WithContext(ctx), span, span.TraceID()
}

// endSpan ends the span of the request.
func (x *exchange) endSpan(took time.Duration) {
	x.span.End(x.started.Add(took), SpanRequest{
		Method: x.r.Method, Route: x.route.pattern, Status: x.status, Code: string(x.code), ID: x.id,
		Lock: string(x.params.Lock), Account: x.principal.Account, RemoteAddr: x.r.RemoteAddr,
	})
}

// traceID returns the trace id of a W3C traceparent header, or nothing if the header is
// malformed: a mistake of a tracer is no reason to refuse a lock.
func traceID(lines []string) string {
	const (
		version = "00-"
		end     = len(version) + 32
		whole   = end + len("-0123456789abcdef-01")
	)
	if len(lines) != 1 || len(lines[0]) < whole {
		return ""
	}
	line := lines[0]
	// Later versions may append to the form of the first, with a dash; ff is none.
	if line[:2] == "ff" || line[2] != '-' || len(line) > whole && (line[:3] == version || line[whole] != '-') {
		return ""
	}
	id := line[len(version):end]
	if line[end] != '-' || line[end+17] != '-' || !lowerHex(line[:2]+id+line[end+1:end+17]+line[end+18:whole]) ||
		strings.Trim(id, "0") == "" || strings.Trim(line[end+1:end+17], "0") == "" {
		return ""
	}
	return id
}

func lowerHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if !('0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f') {
			return false
		}
	}
	return true
}

// first returns the first of the values of a header, or nothing.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// printable returns the printable ASCII of s, at most 256 bytes.
func printable(s string) string {
	const most = 256
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			s = onlyPrintable(s) // which may make a token whole
			break
		}
	}
	s = withoutSecret(s)
	return s[:min(len(s), most)]
}

// withoutSecret returns the text, or a placeholder if it holds a token.
func withoutSecret(s string) string {
	if auth.HoldsSecret(s) {
		return "(hidden: it held a token)"
	}
	return s
}

func onlyPrintable(s string) string {
	kept := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			kept = append(kept, s[i])
		}
	}
	return string(kept)
}

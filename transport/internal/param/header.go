package param

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
)

// Header returns a header that may be given once, and not empty; "" if it is not given. The name
// must be in canonical form.
func Header(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", duplicate(name)
	case values[0] == "":
		return "", &input.Error{Field: name, Problem: "is empty", Want: "a value, or leave it out"}
	default:
		return values[0], nil
	}
}

// PrefersText reports whether the Accept header names text/plain before JSON.
func (p *Values) PrefersText() bool {
	for _, line := range p.header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			kind, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "text/plain", "text/*":
				return true
			case "application/json", "application/*", "*/*":
				return false
			}
		}
	}
	return false
}

// preferredWait returns the first wait in the Prefer header. One that is malformed is ignored,
// as RFC 7240 demands.
func preferredWait(lines []string) time.Duration {
	for _, line := range lines {
		for pref := range strings.SplitSeq(line, ",") {
			pref, _, _ = strings.Cut(pref, ";")
			name, value, _ := strings.Cut(pref, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
			if err != nil {
				return 0
			}
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// AcceptsGzip reports whether the Accept-Encoding header asks for gzip.
func (p *Values) AcceptsGzip() bool {
	for _, line := range p.header["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			weight, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			return !found || err == nil && q > 0
		}
	}
	return false
}

// Key returns the idempotency key; empty if there is none.
func (p *Values) Key() (string, error) { return Header(p.header, "Idempotency-Key") }

// LastEventID returns the cursor of the last event that the client of a stream received; empty
// if there is none.
func (p *Values) LastEventID() (string, error) { return Header(p.header, "Last-Event-Id") }

// RequestID returns the id that the client chose for its request; "" if it chose none, or one that is
// not valid or holds a token.
func RequestID(h http.Header) string {
	if chosen := h["X-Request-Id"]; len(chosen) == 1 && ValidRequestID(chosen[0]) && !auth.HoldsSecret(chosen[0]) {
		return chosen[0]
	}
	return ""
}

// ValidRequestID reports whether a text may be the id of a request.
func ValidRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

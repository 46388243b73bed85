package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
)

// bounded sends requests, and gives each a time for its answer. A stream has to begin in that
// time, and may go on for as long as it likes. An acquire may wait: package client gives it
// its time. A backup begins once the server has made it, which may take minutes.
type bounded struct {
	to      http.RoundTripper
	timeout time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/acquire") || strings.HasSuffix(r.URL.Path, "/v1/backup") {
		return b.to.RoundTrip(r)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(b.timeout, func() { cancel(errTimeout) })
	end := func() { timer.Stop(); cancel(nil) }
	resp, err := b.to.RoundTrip(r.WithContext(ctx))
	if err != nil {
		late := errors.Is(context.Cause(ctx), errTimeout)
		end()
		if late {
			err = fmt.Errorf("%w within %s; --timeout and OCTOSTORE_TIMEOUT set another time", errTimeout, b.timeout)
		}
		return nil, err
	}
	if isStream(resp) {
		timer.Stop()
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, ctx: ctx, end: sync.OnceFunc(end)}
	return resp, nil
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (b *bounded) CloseIdleConnections() {
	if c, is := b.to.(interface{ CloseIdleConnections() }); is {
		c.CloseIdleConnections()
	}
}

var errTimeout = errors.New("no complete answer")

// boundedBody ends with the time for an answer.
type boundedBody struct {
	io.ReadCloser

	ctx context.Context
	end func()
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && errors.Is(context.Cause(b.ctx), errTimeout) {
		err = errTimeout
	}
	return n, err
}

func (b *boundedBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

// isStream reports whether an answer is more than one JSON document.
func isStream(resp *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind != "application/json" && kind != "application/problem+json"
}

// Package wire turns answers into bytes: JSON documents and problems, and streams of
// server-sent events and audit records.
//
// The bytes of the API are defined by the types of package api. The answers that every
// client pays for are appended by hand; tests hold them to the bytes that encoding/json
// gives for those types.
package wire

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/problem"
)

// Content types and other values of headers. All answers share the slices, so nothing may
// be appended to them.
var (
	TypeJSON    = []string{"application/json"}
	TypeText    = []string{"text/plain; charset=utf-8"}
	TypeHTML    = []string{"text/html; charset=utf-8"}
	TypeYAML    = []string{"application/yaml"}
	TypeNDJSON  = []string{"application/x-ndjson"}
	TypeCSV     = []string{"text/csv; charset=utf-8"}
	TypeSQLite  = []string{"application/vnd.sqlite3"}
	TypeSSE     = []string{"text/event-stream"}
	TypeProblem = []string{problem.ContentType}
	NoStore     = []string{"no-store"}
	NoSniff     = []string{"nosniff"}
	Close       = []string{"close"}
)

// Answer is a handler's answer to a request, if it is not an error.
type Answer interface {
	// Head returns the status and the content type.
	Head() Head
	// Append appends the body to b.
	Append(b []byte, t Times) []byte
}

// Head is the part of an answer before its body.
type Head struct {
	Status      int
	ContentType []string
	Code        api.Code // the metrics count the answer under it; empty: as a success
}

// Times are the times an answer may be about.
type Times struct {
	Received time.Time // the request
	Now      time.Time
}

// Grant answers an acquire or a renewal.
type Grant struct {
	Grant table.Grant
	Wait  time.Duration // how long the request was ready to wait
	Text  bool          // lease id and fencing token on one line, instead of JSON
}

// Head implements [Answer].
func (g Grant) Head() Head {
	if g.Text {
		return Head{Status: http.StatusOK, ContentType: TypeText}
	}
	return Head{Status: http.StatusOK, ContentType: TypeJSON}
}

// Append implements [Answer].
func (g Grant) Append(b []byte, t Times) []byte {
	if !g.Text {
		return appendGrant(b, g.Grant, g.Wait, t.Now.Sub(t.Received), t.Now)
	}
	b = append(append(b, g.Grant.LeaseID...), ' ')
	b = strconv.AppendUint(b, uint64(g.Grant.Lease.Token), 10)
	return append(b, '\n')
}

// Ended answers a release or a break.
type Ended struct{ Lease lock.EndedLease }

// Head implements [Answer].
func (e Ended) Head() Head { return Head{Status: http.StatusOK, ContentType: TypeJSON} }

// Append implements [Answer].
func (e Ended) Append(b []byte, _ Times) []byte { return appendEnded(b, e.Lease) }

// Lock answers with the state of one lock.
type Lock struct{ View lock.View }

// Head implements [Answer].
func (l Lock) Head() Head { return Head{Status: http.StatusOK, ContentType: TypeJSON} }

// Append implements [Answer].
func (l Lock) Append(b []byte, t Times) []byte { return appendLock(b, l.View, t.Now) }

// List answers with a page of locks.
type List struct {
	Views []lock.View
	Next  lock.Name // the page after this one begins behind it
	Whole bool      // with the metadata of waiters: for a list of one named lock
}

// Head implements [Answer].
func (l List) Head() Head { return Head{Status: http.StatusOK, ContentType: TypeJSON} }

// Append implements [Answer].
func (l List) Append(b []byte, t Times) []byte {
	how := listed
	if l.Whole {
		how = whole
	}
	return appendList(b, l.Views, l.Next, how, t.Now)
}

// JSON answers with a value of package api that is asked for too rarely to be encoded by
// hand.
type JSON struct{ Value any }

// Head implements [Answer].
func (j JSON) Head() Head { return Head{Status: http.StatusOK, ContentType: TypeJSON} }

// Append implements [Answer].
func (j JSON) Append(b []byte, _ Times) []byte {
	encoded, err := json.Marshal(j.Value)
	if err != nil {
		panic(err) // a value of package api always encodes
	}
	return append(append(b, encoded...), '\n')
}

// Raw answers with a body that is ready.
type Raw struct {
	Body        []byte
	ContentType []string
}

// Head implements [Answer].
func (r Raw) Head() Head { return Head{Status: http.StatusOK, ContentType: r.ContentType} }

// Append implements [Answer].
func (r Raw) Append(b []byte, _ Times) []byte { return append(b, r.Body...) }

// Health answers a probe: 200 if the status is empty, or degraded, else 503 with the status.
type Health struct {
	Status   api.HealthStatus // why the server is not healthy, or not ready
	Degraded bool             // by a full disk: leases are renewed and released only
}

// Head implements [Answer].
func (h Health) Head() Head {
	if h.Status == "" {
		return Head{Status: http.StatusOK, ContentType: TypeJSON}
	}
	return Head{Status: http.StatusServiceUnavailable, ContentType: TypeJSON, Code: api.Code(h.Status)}
}

// Append implements [Answer].
func (h Health) Append(b []byte, _ Times) []byte {
	switch {
	case h.Status != "":
		return append(append(append(b, `{"status":"`...), h.Status...), "\"}\n"...)
	case h.Degraded:
		return append(b, `{"status":"ok","degraded":["storage_full"]}`+"\n"...)
	}
	return append(b, `{"status":"ok"}`+"\n"...)
}

// AppendProblem appends a problem document.
func AppendProblem(b []byte, p api.Problem) []byte {
	body := bytes.NewBuffer(b)
	enc := json.NewEncoder(body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		panic(err) // a Problem always encodes
	}
	return body.Bytes()
}

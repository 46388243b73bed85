package lane

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// answer is the ResponseWriter of a request. It gathers head and body, and sends them in one
// write: when the handler flushes, or when it returns.
type answer struct {
	c *conn
	*draft
	status   int   // 0: WriteHeader was not called
	declared int64 // the Content-Length of the handler; -1: none
	written  int64 // bytes of the body

	body     output // of which that part waits for the end of the head
	headDone bool
	hasType  bool
	hasDate  bool
	chunked  bool
	close    bool // the connection, afterwards
	limited  bool // the handler has set a write deadline
	err      error

	isParked bool
	came     atomic.Int32 // of the return of the handler and of the call of Resume
	work     func()       // of Resume
}

// draft is what an answer needs once the handler begins it.
type draft struct {
	header http.Header
	out    output // what was not sent
}

// output is a buffer that [http.Header.Write] can write to.
type output []byte

// Write appends b.
func (o *output) Write(b []byte) (int, error) {
	*o = append(*o, b...)
	return len(b), nil
}

// WriteString appends s.
func (o *output) WriteString(s string) (int, error) {
	*o = append(*o, s...)
	return len(s), nil
}

const (
	mostKept   = 16 << 10 // the size up to which a buffer is kept for other answers
	mostUnsent = 64 << 10 // how much is gathered before it is sent
	mostShort  = 2 << 10  // the size up to which a body without a Content-Length gets one, as with net/http
)

var (
	answers = sync.Pool{New: func() any { return new(answer) }}
	drafts  = sync.Pool{New: func() any { return &draft{header: http.Header{}} }}
)

func newAnswer(c *conn, r *http.Request) *answer {
	w := answers.Get().(*answer)
	w.c, w.draft, w.declared, w.close = c, drafts.Get().(*draft), -1, r.Close
	return w
}

// free gives the answer back. The handler has returned and does not use it any more.
func (w *answer) free() {
	w.freeDraft()
	*w = answer{}
	answers.Put(w)
}

func (w *answer) freeDraft() {
	d := w.draft
	w.draft = nil
	clear(d.header)
	if d.out = d.out[:0]; cap(d.out) > mostKept {
		d.out = nil
	}
	drafts.Put(d)
}

// Park says that the handler is about to return without an answer, which follows in [answer.Resume].
// Until then the connection has no goroutine.
func (w *answer) Park() {
	w.isParked = true
	if w.status == 0 && len(w.header) == 0 {
		w.freeDraft()
	}
}

// Resume calls work, which goes on with the answer, when the handler has returned, and then serves
// the connection. It is called once for an answer that is parked, by any goroutine, perhaps before Park.
func (w *answer) Resume(work func()) {
	w.work = work
	if w.meets() {
		w.c.serve(w)
	}
}

// meets reports whether both have come: the return of the handler and the call of Resume. The
// second one has the connection from then on, and the first one does not touch it any more.
func (w *answer) meets() bool { return w.came.Add(1) == 2 }

// goOn has the handler go on with a parked answer.
func (w *answer) goOn() {
	if w.draft == nil {
		w.draft = drafts.Get().(*draft)
	}
	w.work()
}

// Header returns the header, which counts until WriteHeader is called.
func (w *answer) Header() http.Header { return w.header }

// WriteHeader begins the head. Codes below 200 are sent at once, and another one follows.
func (w *answer) WriteHeader(code int) {
	switch {
	case w.status != 0:
		w.c.srv.logf("http: superfluous response.WriteHeader call from %s", w.c.remote)
		return
	case code < 100 || code > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", code))
	case code < 200 && code != http.StatusSwitchingProtocols:
		w.begin(code, withoutLength)
		_, _ = w.out.WriteString("\r\n")
		w.err = w.send()
		return
	}
	w.status = code
	w.declared = w.declaredLength()
	without := w.decideClose()
	if !bodyAllowed(code) || w.header["Transfer-Encoding"] != nil {
		without = w.withoutBody(without)
	}
	_, w.hasType = w.header["Content-Type"]
	_, w.hasDate = w.header["Date"]
	w.begin(code, without)
}

// begin writes the first line and the header without some.
func (w *answer) begin(code int, without map[string]bool) {
	w.out = append(w.out, "HTTP/1.1 "...)
	w.out = strconv.AppendInt(w.out, int64(code), 10)
	w.out = append(w.out, ' ')
	if words := http.StatusText(code); words != "" {
		w.out = append(w.out, words...)
	} else {
		w.out = append(w.out, "status code "...)
		w.out = strconv.AppendInt(w.out, int64(code), 10)
	}
	w.out = append(w.out, "\r\n"...)
	_ = w.header.WriteSubset(&w.out, without) // it cannot fail
}

func (w *answer) declaredLength() int64 {
	values := w.header["Content-Length"]
	if len(values) == 0 {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		w.c.srv.logf("http: invalid Content-Length of %q", values[0])
		delete(w.header, "Content-Length")
		return -1
	}
	return n
}

// Headers that are left out.
var (
	withoutLength     = map[string]bool{"Content-Length": true, "Transfer-Encoding": true}
	withoutConnection = map[string]bool{"Connection": true}
)

// decideClose decides whether the connection is closed after the answer, and returns the headers
// to leave out for that.
func (w *answer) decideClose() (without map[string]bool) {
	said := w.header["Connection"]
	says := len(said) > 0 && strings.EqualFold(said[0], "close")
	w.close = w.close || says || w.c.srv.stopping.Load()
	if w.close && !says {
		return withoutConnection
	}
	return nil
}

// withoutBody adds the headers that say how a body is sent.
func (w *answer) withoutBody(without map[string]bool) map[string]bool {
	all := map[string]bool{"Transfer-Encoding": true, "Connection": without["Connection"]}
	if !bodyAllowed(w.status) {
		all["Content-Length"] = true
		w.declared = -1
	}
	if w.status == http.StatusNotModified {
		all["Content-Type"] = true
	}
	return all
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// endHead writes the rest of the head. The body is whole if the handler has returned.
func (w *answer) endHead(whole bool) {
	w.headDone = true
	if !w.hasDate {
		w.out = appendDate(append(w.out, "Date: "...), time.Now())
		w.out = append(w.out, "\r\n"...)
	}
	if w.declared < 0 && bodyAllowed(w.status) {
		if w.chunked = !whole; whole {
			w.out = append(w.out, "Content-Length: "...)
			w.out = strconv.AppendInt(w.out, int64(len(w.body)), 10)
			w.out = append(w.out, "\r\n"...)
		}
	}
	if !w.hasType && len(w.body) > 0 && w.header["Content-Encoding"] == nil {
		w.out = append(w.out, "Content-Type: "...)
		w.out = append(w.out, http.DetectContentType(w.body)...)
		w.out = append(w.out, "\r\n"...)
	}
	if w.close && !saysClose(w.header) {
		w.out = append(w.out, "Connection: close\r\n"...)
	}
	if w.chunked {
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
	body := w.body
	w.body = nil
	w.appendBody(body)
}

func saysClose(h http.Header) bool {
	said := h["Connection"]
	return len(said) > 0 && strings.EqualFold(said[0], "close")
}

// appendBody adds a piece of the body after the head.
func (w *answer) appendBody(b []byte) {
	if len(b) == 0 {
		return
	}
	if !w.chunked {
		w.out = append(w.out, b...)
		return
	}
	w.out = strconv.AppendInt(w.out, int64(len(b)), 16)
	w.out = append(w.out, "\r\n"...)
	w.out = append(w.out, b...)
	w.out = append(w.out, "\r\n"...)
}

// Write adds to the body. An error means that the connection has failed, or that no such body may
// follow the head.
func (w *answer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(b) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(b))
	if w.declared >= 0 && w.written > w.declared {
		return 0, http.ErrContentLength
	}
	if w.err != nil {
		return 0, w.err
	}
	if !w.headDone && w.declared >= 0 && w.hasType {
		w.endHead(false)
	}
	if !w.headDone {
		if w.body = append(w.body, b...); len(w.body) > mostShort {
			w.endHead(false)
		}
		return len(b), nil
	}
	w.appendBody(b)
	if len(w.out) > mostUnsent {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// FlushError sends what was written. It returns the error of the connection, also an earlier one.
func (w *answer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.headDone {
		w.endHead(false)
	}
	return w.send()
}

// Flush is FlushError without its error, for [http.Flusher].
func (w *answer) Flush() { _ = w.FlushError() }

// SetReadDeadline sets that of the connection, until the next request.
func (w *answer) SetReadDeadline(t time.Time) error { return w.c.setReadTime(t) }

// SetWriteDeadline sets that of the answer, less a second at most.
func (w *answer) SetWriteDeadline(t time.Time) error {
	w.limited = true
	return w.c.setWriteTime(t)
}

func (w *answer) send() error {
	if w.err == nil && len(w.out) > 0 {
		if !w.limited {
			_ = w.c.setWriteTime(time.Time{}) // it fails only if closed, and so does the write
		}
		_, w.err = w.c.nc.Write(w.out)
	}
	w.out = w.out[:0]
	return w.err
}

// finish sends the rest of the answer after the handler has returned, and reports whether the
// connection can have another request.
func (w *answer) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.headDone {
		w.endHead(true)
	}
	if w.chunked {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	return w.send() == nil && !w.close && (w.declared < 0 || w.declared == w.written)
}

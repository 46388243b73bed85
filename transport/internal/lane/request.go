package lane

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"sync"
)

// parser has what [http.ReadRequest] reads from. It is used only while a header is parsed.
type parser struct {
	src bytes.Reader
	in  *bufio.Reader
}

var parsers = sync.Pool{New: func() any {
	p := new(parser)
	p.in = bufio.NewReaderSize(&p.src, bufferSize)
	return p
}}

// parse returns the request whose header was checked, or nil if it is not what the check made of
// it. The request does not refer to in.
func parse(in []byte, h *header) *http.Request {
	p := parsers.Get().(*parser)
	p.src.Reset(in[:h.at])
	p.in.Reset(&p.src)
	r, err := http.ReadRequest(p.in)
	p.src.Reset(nil)
	parsers.Put(p)
	length := int64(max(0, h.length))
	if err != nil || r.ContentLength != length || len(r.TransferEncoding) > 0 {
		return nil
	}
	if length > 0 {
		r.Body = &body{unread: append([]byte(nil), in[h.at:]...)}
	}
	return r
}

// body is the body of a request, which has been read already. As with net/http it is used by one
// goroutine at a time.
type body struct {
	unread []byte
	closed bool
}

// Read reads the body.
func (b *body) Read(to []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n := copy(to, b.unread)
	if b.unread = b.unread[n:]; len(b.unread) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Close makes later reads fail.
func (b *body) Close() error {
	b.closed = true
	return nil
}

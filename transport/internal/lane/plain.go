package lane

import (
	"bytes"
)

// verdict says whether the bytes that were read are a request for the lane.
type verdict uint8

const (
	undecided verdict = iota // more bytes have to be read
	plain                    // the header is complete and plain
	other                    // net/http has to read it
)

// header checks the header of one request, line by line as it arrives. Everything that is not
// surely plain is other; whether it is valid is left to net/http.
type header struct {
	at      int // where the first line that is not complete begins
	hosts   int // how many Host headers there were
	length  int // the Content-Length; -1: none
	waits   bool
	decided verdict
}

func newHeader() header { return header{length: -1} }

// check looks at what has been read since it was last called. in begins with the request.
func (h *header) check(in []byte) verdict {
	for h.decided == undecided {
		end := bytes.IndexByte(in[h.at:], '\n')
		if end < 0 {
			if h.at == 0 && !mayBegin(in) {
				h.decided = other
			}
			return h.decided
		}
		line := in[h.at : h.at+end]
		first := h.at == 0
		h.at += end + 1
		h.decided = h.line(line, first)
	}
	return h.decided
}

// line checks a line, which has everything before its line feed.
func (h *header) line(line []byte, first bool) verdict {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return other
	}
	line = line[:len(line)-1]
	switch {
	case first && h.isRequest(line):
		return undecided
	case first:
		return other
	case len(line) > 0 && h.isField(line):
		return undecided
	case len(line) == 0 && h.hosts == 1:
		return plain
	}
	return other
}

const (
	getPrefix  = "GET /v1/locks/"
	postPrefix = "POST /v1/locks/"
)

// mayBegin reports whether the bytes may be the beginning of a plain request line.
func mayBegin(in []byte) bool {
	is := func(prefix string) bool {
		n := min(len(in), len(prefix))
		return string(in[:n]) == prefix[:n]
	}
	return is(postPrefix) || is(getPrefix)
}

// isRequest checks the request line.
func (h *header) isRequest(line []byte) bool {
	rest, version := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	target, post := bytes.CutPrefix(rest, []byte("POST "))
	if !post {
		var get bool
		if target, get = bytes.CutPrefix(rest, []byte("GET ")); !get {
			return false
		}
	}
	if !version || !bytes.HasPrefix(target, []byte("/v1/locks/")) || !all(target, visible) {
		return false
	}
	if !post {
		return true
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	switch string(path[bytes.LastIndexByte(path, '/')+1:]) {
	case "acquire":
		h.waits = true
		return true
	case "renew", "release":
		return true
	}
	return false
}

// isField checks the line of a header.
func (h *header) isField(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !all(line[:colon], token) || !all(line[colon+1:], text) {
		return false
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	switch len(name) {
	case len("TE"):
		return !isName(name, "te")
	case len("Host"):
		if isName(name, "host") {
			h.hosts++
			return h.hosts == 1 && len(value) > 0 && all(value, hostText)
		}
	case len("Expect"):
		return !isName(name, "expect")
	case len("Upgrade"): // and Trailer
		return !isName(name, "upgrade") && !isName(name, "trailer")
	case len("Connection"):
		if isName(name, "connection") {
			return isName(value, "keep-alive") || isName(value, "close")
		}
	case len("Content-Length"): // and HTTP2-Settings
		if isName(name, "content-length") {
			return h.isLength(value)
		}
		return !isName(name, "http2-settings")
	case len("Transfer-Encoding"):
		return !isName(name, "transfer-encoding")
	}
	return true
}

// isLength reads a Content-Length, of which there may be one.
func (h *header) isLength(value []byte) bool {
	if h.length >= 0 || len(value) == 0 || len(value) > 4 || !all(value, digit) {
		return false
	}
	h.length = 0
	for _, c := range value {
		h.length = 10*h.length + int(c-'0')
	}
	return true
}

// isName reports whether the name of a header, or a word, is the one in lower case.
func isName(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Kinds of bytes.
const (
	visible  = 1 << iota // ASCII without spaces and controls
	text                 // what may be in the value of a header: no controls but tabs
	token                // what may be in the name of a header
	hostText             // what is in the usual values of Host
	digit
)

var kinds = func() (of [256]uint8) {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for c := '!'; c <= '~'; c++ {
		of[c] |= visible | text
	}
	for _, c := range " \t" {
		of[c] |= text
	}
	for _, c := range letters + "!#$%&'*+-.^_`|~" {
		of[c] |= token
	}
	for _, c := range letters + ".:-_[]" {
		of[c] |= hostText
	}
	for c := '0'; c <= '9'; c++ {
		of[c] |= digit
	}
	return of
}()

// all reports whether all bytes are of a kind.
func all(in []byte, kind uint8) bool {
	for _, c := range in {
		if kinds[c]&kind == 0 {
			return false
		}
	}
	return true
}

package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const good = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"

func TestAnswersReads(t *testing.T) {
	big := strings.Repeat("x", 40_000)
	tests := []struct {
		name, wire string
		status     int
		body       string
	}{
		{"a plain answer", good, 200, "hello"},
		{"an error status", "HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nheld", 409, "held"},
		{"a status without a reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, ""},
		{"header names in any case", "HTTP/1.1 200 OK\r\ncontent-LENGTH:2\r\n\r\nok", 200, "ok"},
		{"a body longer than the buffer", "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + big, 200, big},
		{"a head longer than the buffer", "HTTP/1.1 200 OK\r\nX: " + big[:2000] + "\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	}
	pieces := map[string]func(io.Reader) io.Reader{
		"at once":         func(r io.Reader) io.Reader { return r },
		"byte by byte":    iotest.OneByteReader,
		"in halves":       iotest.HalfReader,
		"with EOF beside": iotest.DataErrReader,
	}
	for _, tt := range tests {
		for how, from := range pieces {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				status, body, err := newAnswers(from(strings.NewReader(tt.wire))).next()
				if err != nil || status != tt.status || string(body) != tt.body {
					t.Errorf("got status %d, %d bytes of body, error %v; want %d, %d bytes", status, len(body), err, tt.status, len(tt.body))
				}
			})
		}
	}
}

func TestAnswersReadsOneAfterTheOther(t *testing.T) {
	server, client := io.Pipe()
	go func() {
		client.Write([]byte(good))
		client.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye"))
		client.Close()
	}()
	a := newAnswers(server)
	for _, want := range []string{"hello", "bye"} {
		if _, body, err := a.next(); err != nil || string(body) != want {
			t.Fatalf("got %q, error %v; want %q", body, err, want)
		}
	}
	if _, _, err := a.next(); !errors.Is(err, io.EOF) {
		t.Errorf("got error %v after the last answer, want EOF", err)
	}
}

func TestAnswersRefuses(t *testing.T) {
	tests := []struct{ name, wire, problem string }{
		{"a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", `Transfer-Encoding "chunked"`},
		{"a body of unknown length", "HTTP/1.1 200 OK\r\n\r\nhello", "no Content-Length"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "two Content-Length"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "not a Content-Length"},
		{"a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "not a Content-Length"},
		{"a huge body", "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", "body of 999999 bytes"},
		{"bytes after the body", good + "HTTP", "4 bytes more"},
		{"a connection about to close", "HTTP/1.1 503 Bye\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "closes the connection after a status 503"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "not an HTTP/1.1 status line"},
		{"another protocol", "SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP/1.1 status line"},
		{"a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "not an HTTP/1.1 status line"},
		{"an interim status", "HTTP/1.1 100 Continue\r\n\r\n", "not a final status"},
		{"a line without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "not a header line"},
		{"an endless head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead), "longer than"},
		{"an end in the head", good[:20], "in the head: unexpected EOF"},
		{"an end in the body", good[:len(good)-1], "in the body: unexpected EOF"},
		{"nothing", "", "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := newAnswers(strings.NewReader(tt.wire)).next()
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("got error %v, want one that says %q", err, tt.problem)
			}
		})
	}
}

func TestField(t *testing.T) {
	const body = `{"name":"a/b", "lease_id": "abc-_","fencing_token" : 1867654321234567,"last":7}`
	tests := []struct{ quoted, want string }{
		{`"name"`, "a/b"},
		{FieldLease, "abc-_"},
		{FieldToken, "1867654321234567"},
		{`"last"`, "7"},
		{`"absent"`, ""},
		{`"a/b"`, ""},
	}
	for _, tt := range tests {
		if got := Field([]byte(body), tt.quoted); string(got) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.quoted, got, tt.want)
		}
	}
	if got := Number([]byte(body), FieldToken); got != 1867654321234567 {
		t.Errorf("fencing token %d", got)
	}
	if got := Number([]byte(body), FieldLease); got != 0 {
		t.Errorf("a text was taken for the number %d", got)
	}
}

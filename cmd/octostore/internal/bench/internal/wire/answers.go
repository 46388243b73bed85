package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Bounds of an answer, in bytes.
const (
	maxHead = 4 << 10
	maxBody = 64 << 10
)

// answers reads HTTP/1.1 responses from one connection, one for each request. It
// understands only what it expects of an OctoStore server (a Content-Length, a connection
// that stays open). Everything else is an error, or the benchmark would measure it.
type answers struct {
	from io.Reader
	buf  []byte
	n    int // bytes of buf that are filled
}

func newAnswers(from io.Reader) *answers {
	return &answers{from: from, buf: make([]byte, 1<<10)}
}

// next returns the status and the body of the next response. The body is valid until the
// next call.
func (a *answers) next() (status int, body []byte, err error) {
	a.n = 0
	end, err := a.readHead()
	if err != nil {
		return 0, nil, err
	}
	status, length, err := parseHead(a.buf[:end])
	if err != nil {
		return 0, nil, err
	}
	for a.n < end+length {
		if err := a.fill(end + length); err != nil {
			return 0, nil, fmt.Errorf("in the body: %w", err)
		}
	}
	if a.n > end+length {
		return 0, nil, fmt.Errorf("%d bytes more than the Content-Length of %d", a.n-end-length, length)
	}
	return status, a.buf[end : end+length], nil
}

// readHead reads until the empty line and returns where the body begins.
func (a *answers) readHead() (int, error) {
	for {
		seen := max(0, a.n-3)
		if err := a.fill(a.n + 1); err != nil {
			if a.n == 0 && errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			return 0, fmt.Errorf("in the head: %w", err)
		}
		if i := bytes.Index(a.buf[seen:a.n], []byte("\r\n\r\n")); i >= 0 {
			return seen + i + 4, nil
		}
		if a.n >= maxHead {
			return 0, fmt.Errorf("the head is longer than %d bytes", maxHead)
		}
	}
}

// fill reads once, into a buffer with room for at least want bytes.
func (a *answers) fill(want int) error {
	if want > len(a.buf) {
		a.buf = append(a.buf, make([]byte, max(want-len(a.buf), len(a.buf)))...)
	}
	n, err := a.from.Read(a.buf[a.n:])
	a.n += n
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHead returns the status and the Content-Length.
func parseHead(head []byte) (status, length int, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	status, err = parseStatus(line)
	if err != nil {
		return 0, 0, err
	}
	length = -1
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return 0, 0, fmt.Errorf("not a header line: %.80q", line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length >= 0 {
				return 0, 0, errors.New("two Content-Length headers")
			}
			if length, err = parseLength(value); err != nil {
				return 0, 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, 0, fmt.Errorf("Transfer-Encoding %q; want a Content-Length", value)
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			return 0, 0, fmt.Errorf("the server closes the connection after a status %d", status)
		}
	}
	if length < 0 {
		return 0, 0, errors.New("no Content-Length")
	}
	return status, length, nil
}

func parseStatus(line []byte) (int, error) {
	code, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(code) < 3 || len(code) > 3 && code[3] != ' ' {
		return 0, fmt.Errorf("not an HTTP/1.1 status line: %.80q", line)
	}
	status, err := strconv.Atoi(string(code[:3]))
	if err != nil || status < 200 {
		return 0, fmt.Errorf("not a final status: %.80q", line)
	}
	return status, nil
}

func parseLength(value []byte) (int, error) {
	n, err := strconv.ParseUint(string(value), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("not a Content-Length: %.40q", value)
	}
	if n > maxBody {
		return 0, fmt.Errorf("a body of %d bytes; at most %d are expected", n, maxBody)
	}
	return int(n), nil
}

// Members of the answers, as [Field] and [Number] want them.
const (
	FieldLease   = `"lease_id"`
	FieldToken   = `"fencing_token"`
	FieldState   = `"state"`
	FieldWaiters = `"waiters_total"`
)

// Field returns the value of the first member of that name in a JSON object, a
// string without its quotes, or nil. It is a search, not a parser: good for the
// answers of a server whose values (names, ids, numbers) never look like members.
func Field(body []byte, quoted string) []byte {
	i := bytes.Index(body, []byte(quoted))
	if i < 0 {
		return nil
	}
	rest := bytes.TrimLeft(body[i+len(quoted):], " ")
	rest, ok := bytes.CutPrefix(rest, []byte(":"))
	if !ok {
		return nil
	}
	rest = bytes.TrimLeft(rest, " ")
	if value, ok := bytes.CutPrefix(rest, []byte(`"`)); ok {
		value, _, _ = bytes.Cut(value, []byte(`"`))
		return value
	}
	end := bytes.IndexAny(rest, ",}] \n")
	if end < 0 {
		return nil
	}
	return rest[:end]
}

// Number is [Field] for numbers. It returns 0, which is no fencing token, if the member is
// absent or not a number.
func Number(body []byte, quoted string) uint64 {
	n, err := strconv.ParseUint(string(Field(body, quoted)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

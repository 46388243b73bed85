package octotest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answer is the answer to a request, or the error of a request without one.
type Answer struct {
	Status int
	Body   string
	After  time.Time // when it had been read
	Err    error
}

// DiskTooSlow reports whether the server says that a commit took longer than a short lease
// or its caller's patience: it was too late, or it does not know the outcome. The lease
// then ends by itself.
func (a Answer) DiskTooSlow() bool {
	return a.Status == 503 && (strings.Contains(a.Body, `"too_late"`) || strings.Contains(a.Body, `"outcome_unknown"`))
}

// Call sends one request on a connection of its own.
func Call(method, addr, path string) Answer { return CallAs("", method, addr, path) }

// CallAs is [Call] with a token.
func CallAs(token, method, addr, path string) Answer {
	request, err := http.NewRequest(method, "http://"+addr+path, nil)
	if err != nil {
		return Answer{Err: err}
	}
	request.Close = true
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Answer{Err: err}
	}
	return read(response)
}

func read(response *http.Response) Answer {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, string(body), time.Now(), err}
}

// Expect fails the test unless the answer has a status and contains a text.
func Expect(t *testing.T, got Answer, status int, part string) {
	t.Helper()
	if got.Err != nil || got.Status != status || !strings.Contains(got.Body, part) {
		t.Errorf("got %d %q %v, want %d with %s", got.Status, got.Body, got.Err, status, part)
	}
}

// Member returns a string member of a JSON object, which has to be there.
func Member(t *testing.T, body, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(body, `"`+name+`":"`)
	value, _, ended := strings.Cut(rest, `"`)
	if !found || !ended {
		t.Fatalf("no %s in %s", name, body)
	}
	return value
}

// Caller is a client with one connection, which does nothing by itself: it neither
// retries nor follows redirects nor reads ahead. One goroutine at a time may use it.
type Caller struct {
	net.Conn
	In *bufio.Reader // what comes back
}

// Dial connects a [Caller].
func Dial(addr string) (*Caller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Caller{conn, bufio.NewReaderSize(conn, 1024)}, nil
}

// NewCaller is [Dial] for a test, which closes the connection.
func NewCaller(t *testing.T, addr string) *Caller {
	t.Helper()
	c, err := Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Post sends a request without a body; headers are whole lines.
func (c *Caller) Post(path string, headers ...string) error {
	head := append([]string{"POST " + path + " HTTP/1.1", "Host: localhost"}, headers...)
	_, err := io.WriteString(c, strings.Join(head, "\r\n")+"\r\n\r\n")
	return err
}

// Receive reads the next answer.
func (c *Caller) Receive(most time.Duration) Answer {
	if err := c.SetReadDeadline(time.Now().Add(most)); err != nil {
		return Answer{Err: err}
	}
	response, err := http.ReadResponse(c.In, nil)
	if err != nil {
		return Answer{Err: err, After: time.Now()}
	}
	return read(response)
}

// Ask is [Caller.Post] and [Caller.Receive].
func (c *Caller) Ask(path string, headers ...string) Answer {
	if err := c.Post(path, headers...); err != nil {
		return Answer{Err: err}
	}
	return c.Receive(Patient)
}

// Reset closes the connection with a TCP reset, which leaves nothing behind.
func (c *Caller) Reset() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0) // closed already: fine
	_ = c.Close()
}

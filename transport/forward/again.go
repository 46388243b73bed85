package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/octostore/octostore/transport/api"
)

// errAgain means that the serving node answered 503 moved: it did nothing, and another one may soon serve.
var errAgain = errors.New("the node serves no longer")

// mostProblem is more than an answer that says moved is long.
const mostProblem = 4 << 10

// saysMoved reports whether an answer says that nothing was done because the node serves no longer. The
// answer can be read from its beginning afterwards.
func saysMoved(r *http.Response) bool {
	if r.StatusCode != http.StatusServiceUnavailable || r.ContentLength < 0 || r.ContentLength > mostProblem {
		return false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = rest{io.MultiReader(bytes.NewReader(body), failing{err}), r.Body}
	var says struct {
		Code api.Code `json:"code"`
	}
	return err == nil && json.Unmarshal(body, &says) == nil && says.Code == api.CodeMoved
}

// rest is a body of which some was read already.
type rest struct {
	io.Reader
	io.Closer
}

// failing is the end of a body; nil: it was whole.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// repeatable is a body that can be sent again.
type repeatable struct {
	*bytes.Reader
	all []byte
}

func repeat(body []byte) repeatable { return repeatable{bytes.NewReader(body), body} }

func (repeatable) Close() error { return nil }

// HasRead reports whether a forwarder has read the body of a request to its end, so that the rest of the
// connection is not part of it. The request still has the body, for who answers it instead.
func HasRead(r *http.Request) bool {
	_, is := r.Body.(repeatable)
	return is
}

// toSend returns the request with a body of its own: that of r is for who answers r if the serving node does
// not.
func toSend(ctx context.Context, r *http.Request) *http.Request {
	sent := r.WithContext(ctx)
	if body, is := r.Body.(repeatable); is {
		sent.Body = repeat(body.all)
	}
	return sent
}

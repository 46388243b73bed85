package param

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/jsontext"
	"github.com/octostore/octostore/transport/problem"
)

// MaxBody is the largest body of a request, in bytes.
const MaxBody = 16 << 10

// ReadBody reads a body of at most MaxBody bytes into buf, to its end.
func ReadBody(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > MaxBody:
			return buf, problem.ErrTooLarge
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, &input.Error{
				Field:   "body",
				Problem: "could not be read to its end",
				Want:    "as many bytes as its Content-Length says, or valid chunks",
			}
		}
	}
}

// ParseBody takes the parameters of a body that is not empty. A body that begins like a JSON
// object is one, whatever its type says: curl -d calls everything a form.
func (p *Values) ParseBody(r *http.Request, body []byte) error {
	p.inBody = true
	if r.Method == http.MethodPost && p.allowed == 0 && isEmptyObject(body) {
		return nil // some clients send {} with every POST
	}
	if p.allowed == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return &input.Error{Field: "body", Problem: "is not empty", Want: "no body with this request"}
	}
	if err := notCompressed(r); err != nil {
		return err
	}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		return p.parseJSON(body)
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" || strings.HasPrefix(kind, "multipart/") {
		return &input.Error{
			Field:   "body",
			Problem: "is neither a JSON object nor a form",
			Want:    "a JSON object, or NAME=VALUE pairs joined by '&'",
		}
	}
	return p.parsePairs("body", string(body))
}

func notCompressed(r *http.Request) error {
	encoding := r.Header.Get("Content-Encoding")
	if encoding == "" || strings.EqualFold(encoding, "identity") {
		return nil
	}
	return &input.Error{Field: "Content-Encoding", Problem: fmt.Sprintf("is %q", Shorten(encoding)), Want: "a body that is not compressed"}
}

// isEmptyObject reports whether a body is a JSON object without members.
func isEmptyObject(body []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(body, &members) == nil && members != nil && len(members) == 0
}

// parseJSON takes the parameters of a JSON object. It reads token by token, for
// encoding/json would let duplicate keys pass and ignore the case of names.
func (p *Values) parseJSON(body []byte) error {
	if !utf8.Valid(body) {
		return &input.Error{Field: "body", Problem: "is not valid UTF-8", Want: "JSON in UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil { // the brace
		return badJSON(err)
	}
	if err := members(dec, p.setJSON); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return &input.Error{Field: "body", Problem: "goes on after the JSON object", Want: "one JSON object"}
	}
	return nil
}

// members reads a JSON object whose brace has been read, and passes each name on
// when its value is next.
func members(dec *json.Decoder, member func(dec *json.Decoder, name string) error) error {
	err := jsontext.Members(dec, member)
	if bad, is := errors.AsType[*jsontext.Malformed](err); is {
		return badJSON(bad.Err)
	}
	return err
}

// setJSON takes one member of the body.
func (p *Values) setJSON(dec *json.Decoder, name string) error {
	f, ok := named(name)
	if !ok || !p.allowed.Has(f) {
		return p.unknown(name)
	}
	token, err := dec.Token()
	if err != nil {
		return badJSON(err)
	}
	switch v := token.(type) {
	case string:
		if f != Metadata {
			return p.setField(f, v)
		}
	case json.Number:
		if f == TTL || f == Wait || f == Confirm || f == FencingToken || f == Expires || f == Grace || f == Take {
			return p.setField(f, plainNumber(v.String()))
		}
	case json.Delim:
		if f == Metadata && v == '{' {
			return p.setMetadata(dec)
		}
	}
	return wrongType(names[f], token, wantType(f))
}

func (p *Values) setMetadata(dec *json.Decoder) error {
	if p.given.Has(Metadata) {
		return duplicate("metadata")
	}
	p.given |= 1 << Metadata
	return members(dec, func(dec *json.Decoder, key string) error {
		token, err := dec.Token()
		if err != nil {
			return badJSON(err)
		}
		value, ok := token.(string)
		if !ok {
			return wrongType("metadata."+key, token, "a string")
		}
		return p.setMeta(key, value)
	})
}

func wantType(f Field) string {
	switch f {
	case TTL, Wait, Confirm, Expires, Grace:
		return `a string like "90s" or a number of seconds`
	case FencingToken:
		return "a number, or a string of digits"
	case Metadata:
		return "an object of strings"
	}
	return "a string"
}

func wrongType(field string, token json.Token, want string) error {
	kind := "null"
	switch t := token.(type) {
	case string:
		kind = "a string"
	case json.Number:
		kind = "a number"
	case bool:
		kind = "a boolean"
	case json.Delim:
		kind = "an object"
		if t == '[' {
			kind = "an array"
		}
	}
	return &input.Error{Field: Shorten(field), Problem: "is " + kind, Want: want}
}

func badJSON(err error) error {
	problem := "is not valid JSON: " + err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		problem = "is JSON that ends too early"
	}
	return &input.Error{Field: "body", Problem: problem, Want: "a JSON object"}
}

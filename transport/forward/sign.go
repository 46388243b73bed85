package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/core/lock"
)

const (
	// Header carries what the forwarding node says of a request: the term it was sent to, the time,
	// and the address of the client, with a message authentication code (HMAC-SHA-256) over them, the
	// method and the target.
	Header = "Octostore-Forwarded"
	// MaxSkew is how much the clocks of two nodes may differ, and how old a forwarded request may
	// be when it arrives.
	MaxSkew = 2 * time.Minute

	// The kinds of requests between nodes, with the version of the header. A client cannot have its request
	// signed as a word.
	kindRequest = "request1" // of a client
	kindWord    = "word1"    // of the node itself, about a grant
)

// claim is what a forwarding node says of a request.
type claim struct {
	kind   string
	term   int64
	at     time.Time // in milliseconds
	client string    // as in RemoteAddr of [http.Request]
}

// text returns the signed part of the header.
func (c claim) text() string {
	return strings.Join([]string{
		c.kind, strconv.FormatInt(c.term, 10), strconv.FormatInt(c.at.UnixMilli(), 10), url.QueryEscape(c.client),
	}, ";")
}

// sign returns the header for a request. The target is that of the request line.
func (c claim) sign(key []byte, method, target string) string {
	text := c.text()
	return text + ";" + base64.RawURLEncoding.EncodeToString(mac(key, method, target, text))
}

// mac is unambiguous: a method has no spaces, and a target no line feeds.
func mac(key []byte, method, target, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(h, "%s %s\n%s", method, target, text) // a hash returns no errors
	return h.Sum(nil)
}

// claimOf returns what a node says of the request. It is not ok if there is no header, or none that a
// node with this key has signed: any client can send one.
func claimOf(key []byte, r *http.Request) (c claim, ok bool) {
	lines := r.Header[Header]
	if len(lines) != 1 {
		return claim{}, false
	}
	end := strings.LastIndexByte(lines[0], ';')
	if end < 0 {
		return claim{}, false
	}
	text := lines[0][:end]
	sent, err := base64.RawURLEncoding.Strict().DecodeString(lines[0][end+1:])
	if err != nil || !hmac.Equal(sent, mac(key, r.Method, targetOf(r), text)) {
		return claim{}, false
	}
	return parse(text)
}

// targetOf returns the target of the request line, as it was received.
func targetOf(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

func parse(text string) (c claim, ok bool) {
	parts := strings.Split(text, ";")
	if len(parts) != 4 || parts[0] != kindRequest && parts[0] != kindWord {
		return claim{}, false
	}
	term, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return claim{}, false
	}
	at, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return claim{}, false
	}
	client, err := url.QueryUnescape(parts[3])
	return claim{kind: parts[0], term: term, at: time.UnixMilli(at), client: client}, err == nil
}

// check returns why a claim does not count at that time in that term. A claim of another term is for
// another node, or for a table that this one has no longer.
func (c claim) check(term int64, now time.Time) error {
	if c.term != term {
		return fmt.Errorf("%w: the request was forwarded to term %d, this is %d", lock.ErrDeposed, c.term, term)
	}
	if off := now.Sub(c.at).Abs(); off > MaxSkew {
		return fmt.Errorf("%w: %w", lock.ErrDeposed, &SkewError{Client: c.client, Off: off})
	}
	return nil
}

// SkewError means that a forwarded request is older than [MaxSkew] or from the future: the clocks of
// two nodes differ, or somebody repeats a request that was recorded.
type SkewError struct {
	Client string        // as the request names it
	Off    time.Duration // by how much
}

func (e *SkewError) Error() string {
	return fmt.Sprintf("a forwarded request is off by %s, the clocks of the nodes may differ by %s",
		e.Off.Round(time.Second), MaxSkew)
}

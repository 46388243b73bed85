// Package param reads the parameters of requests, from path, query, header and body, and
// checks them.
//
// Each parameter may be given once, in the query or in the body. Nothing is ignored
// silently: an unknown, repeated or malformed parameter is an [input.Error] that says what
// would be right. A value that holds a token is refused, as it would be recorded and shown.
package param

import (
	"net/http"
	"strings"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// Values are the parameters of one request: those its path names, and those of its query and
// its body, where each is given at most once.
type Values struct {
	// Lock and TokenID are from the path of the routes that have them.
	Lock    lock.Name
	TokenID string

	header   http.Header
	allowed  Set
	lenient  bool // unknown parameters are ignored
	inBody   bool // the body is being read
	given    Set
	texts    [NumFields]string
	metadata map[string]string // handed on to the lock table: never reused
	lockInfo *api.TerraformLock
}

// Expect says which parameters the request may have, before they are parsed. With lenient,
// unknown ones are ignored instead of refused.
func (p *Values) Expect(allowed Set, lenient bool, header http.Header) {
	p.allowed, p.lenient, p.header = allowed, lenient, header
}

// Given returns the parameters that the request has. Metadata counts only if it came as JSON.
func (p *Values) Given() Set { return p.given }

// Has reports whether the request has a parameter.
func (p *Values) Has(f Field) bool { return p.given.Has(f) }

// Text returns a parameter as it was given; empty if it was not.
func (p *Values) Text(f Field) string { return p.texts[f] }

// Metadata returns the metadata; nil if none was given.
func (p *Values) Metadata() map[string]string { return p.metadata }

// set takes one parameter of the query or a form.
func (p *Values) set(name, value string) error {
	if key, ok := strings.CutPrefix(name, "meta."); ok && p.allowed.Has(Metadata) {
		return p.setMeta(key, value)
	}
	f, ok := named(name)
	if !ok || !p.allowed.Has(f) || f == Metadata {
		switch {
		case auth.HoldsSecret(value):
			return p.misplaced()
		case p.lenient:
			return nil
		}
		return p.unknown(name)
	}
	return p.setField(f, value)
}

func (p *Values) setField(f Field, value string) error {
	if p.given.Has(f) {
		return duplicate(names[f])
	}
	if strings.Trim(value, " ") == "" && mayBeEmpty&(1<<f) == 0 {
		return &input.Error{Field: names[f], Problem: "is empty", Want: "a value, or leave it out"}
	}
	if auth.HoldsSecret(value) {
		return errTokenInValue(names[f])
	}
	p.given |= 1 << f
	p.texts[f] = value
	return nil
}

func (p *Values) setMeta(key, value string) error {
	if _, ok := p.metadata[key]; ok {
		return duplicate("meta." + key)
	}
	if auth.HoldsSecret(key) || auth.HoldsSecret(value) {
		return errTokenInValue("meta")
	}
	if p.metadata == nil {
		p.metadata = make(map[string]string)
	}
	p.metadata[key] = value
	return nil
}

func duplicate(field string) error {
	return &input.Error{Field: Shorten(field), Problem: "is given more than once", Want: "one value, in one place"}
}

func (p *Values) unknown(name string) error {
	if namesCredential(name) || auth.HoldsSecret(name) {
		return p.misplaced()
	}
	return &input.Error{Field: Shorten(name), Problem: "is not known here", Want: p.allowed.String()}
}

// misplaced returns the error for a token where it does not belong.
func (p *Values) misplaced() error {
	if p.inBody {
		return errTokenInBody
	}
	return ErrTokenInURL
}

// Shorten cuts text of a client to a length fit for an answer.
func Shorten(name string) string {
	const most = 80
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

package transport

import (
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
)

// field is a parameter of a request. It may come in the query or in the body.
type field uint8

const (
	fieldTTL field = iota
	fieldWait
	fieldConfirm
	fieldHolder
	fieldReason
	fieldLeaseID
	fieldFencingToken
	fieldPrefix
	fieldAccount
	fieldLimit
	fieldAfter
	fieldSince
	fieldUntil
	fieldKind
	fieldDecision
	fieldFormat
	fieldFollow
	fieldTake
	fieldName
	fieldScopes
	fieldExpires
	fieldGrace
	fieldCode
	fieldState
	fieldError
	fieldDeviceID
	fieldWaiters
	fieldWaitersAfter
	fieldGrants
	fieldHook
	fieldAt
	fieldMetadata // spelled meta.KEY, except in JSON
	numFields
)

var fieldNames = [numFields]string{
	"ttl", "wait", "confirm", "holder", "reason", "lease_id", "fencing_token", "prefix", "account", "limit", "after",
	"since", "until", "kind", "decision", "format", "follow", "take", "name", "scopes", "expires", "grace",
	"code", "state", "error", "device_id", "waiters", "waiters_after", "grants", "hook", "at", "metadata",
}

func fieldNamed(name string) (field, bool) {
	for f, n := range fieldNames {
		if n == name {
			return field(f), true
		}
	}
	return 0, false
}

// mayBeEmpty are the fields whose empty value means something: nothing at all.
const mayBeEmpty = 1<<fieldHolder | 1<<fieldReason | 1<<fieldPrefix | 1<<fieldAccount | 1<<fieldAfter

// fieldSet is a set of fields.
type fieldSet uint64

const _ = 64 - numFields // does not compile if there are more fields than a set has room for

func setOf(fields ...field) fieldSet {
	var s fieldSet
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// String lists the fields as a client may spell them.
func (s fieldSet) String() string {
	var names []string
	for f := range numFields {
		switch {
		case !s.has(f):
		case f == fieldMetadata:
			names = append(names, "meta.KEY (in JSON: metadata)")
		default:
			names = append(names, fieldNames[f])
		}
	}
	if names == nil {
		return "no parameters"
	}
	return strings.Join(names, ", ")
}

// params are the parameters of one request, each given at most once, in the query
// and the body together.
type params struct {
	known  fieldSet
	loose  bool // leaves out what it does not know
	inBody bool // that is what is being read
	given  fieldSet
	values [numFields]string
	meta   map[string]string // handed on to the table: never reused
}

// set takes one parameter from the query or a form.
func (p *params) set(name, value string) error {
	if key, ok := strings.CutPrefix(name, "meta."); ok && p.known.has(fieldMetadata) {
		return p.setMeta(key, value)
	}
	f, ok := fieldNamed(name)
	if !ok || !p.known.has(f) || f == fieldMetadata {
		switch {
		case auth.HoldsSecret(value):
			return p.misplaced()
		case p.loose:
			return nil
		}
		return p.unknown(name)
	}
	return p.setField(f, value)
}

func (p *params) setField(f field, value string) error {
	if p.given.has(f) {
		return duplicate(fieldNames[f])
	}
	if strings.Trim(value, " ") == "" && mayBeEmpty&(1<<f) == 0 {
		return &input.Error{Field: fieldNames[f], Problem: "is empty", Want: "a value, or leave it out"}
	}
	if auth.HoldsSecret(value) {
		return errTokenInValue(fieldNames[f])
	}
	p.given |= 1 << f
	p.values[f] = value
	return nil
}

func (p *params) setMeta(key, value string) error {
	if _, ok := p.meta[key]; ok {
		return duplicate("meta." + key)
	}
	if auth.HoldsSecret(key) || auth.HoldsSecret(value) {
		return errTokenInValue("meta")
	}
	if p.meta == nil {
		p.meta = make(map[string]string)
	}
	p.meta[key] = value
	return nil
}

func duplicate(field string) error {
	return &input.Error{Field: shown(field), Problem: "is given more than once", Want: "one value, in one place"}
}

func (p *params) unknown(name string) error {
	if namesCredential(name) || auth.HoldsSecret(name) {
		return p.misplaced()
	}
	return &input.Error{Field: shown(name), Problem: "is not known here", Want: p.known.String()}
}

// misplaced refuses a token by whatever name.
func (p *params) misplaced() error {
	if p.inBody {
		return errTokenInBody
	}
	return errTokenInURL
}

// shown cuts what a client calls a field to a length fit for an answer.
func shown(name string) string {
	const most = 80
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// readParams reads the query and the body of the request. The body is read to its
// end, for only then does net/http notice that a client leaves.
func (x *exchange) readParams() error {
	p := &x.params
	p.known, p.loose = x.route.fields, x.route.loose
	if err := p.parsePairs("query", x.r.URL.RawQuery); err != nil {
		return err
	}
	if !x.hasBody() {
		return nil
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	return p.parseBody(x.r, body)
}

// parsePairs takes the parameters of a query or a form. It is stricter than
// net/url: what it cannot read it refuses, instead of leaving it out.
func (p *params) parsePairs(where, pairs string) error {
	for pairs != "" {
		var pair string
		pair, pairs, _ = strings.Cut(pairs, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := unescape(where, name)
		if err != nil {
			return err
		}
		if value, err = unescape(where, value); err != nil {
			return err
		}
		if err := p.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// unescape decodes one name or value, at no cost where nothing is encoded.
func unescape(where, s string) (string, error) {
	i := strings.IndexAny(s, "%+;")
	if i < 0 {
		return s, nil
	}
	out := make([]byte, i, len(s))
	copy(out, s)
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		default:
			out = append(out, c)
		case '+':
			out = append(out, ' ')
		case ';':
			return "", &input.Error{Field: where, Problem: "has a ';'", Want: "parameters joined by '&', and a ';' in a value written as %3B"}
		case '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", &input.Error{Field: where, Problem: fmt.Sprintf("has a bad percent encoding at %q", shown(s[i:])), Want: "'%' and two hexadecimal digits"}
			}
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		}
	}
	return string(out), nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

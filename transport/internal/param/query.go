package param

import (
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/input"
)

// ParseQuery takes the parameters of the query.
func (p *Values) ParseQuery(query string) error { return p.parsePairs("query", query) }

// parsePairs takes the parameters of a query or a form. It is stricter than net/url: it refuses
// what it cannot read instead of ignoring it.
func (p *Values) parsePairs(where, pairs string) error {
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

// unescape decodes a name or a value. It does not allocate if nothing is encoded.
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
				return "", &input.Error{
					Field:   where,
					Problem: fmt.Sprintf("has a bad percent encoding at %q", Shorten(s[i:])),
					Want:    "'%' and two hexadecimal digits",
				}
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

package param

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// LockInfo returns the lock info that is the body of a request of Terraform; nil if the body is
// empty.
func (p *Values) LockInfo() *api.TerraformLock { return p.lockInfo }

// ParseLockInfo takes a body that is a lock info of Terraform. Its ID has to be a valid key.
// All other texts are for people: control characters are replaced and long texts are cut, as a
// strange user name must not keep Terraform from its state. Unknown members are ignored, as later
// versions may have more.
func (p *Values) ParseLockInfo(r *http.Request, body []byte) error {
	p.inBody = true
	if err := notCompressed(r); err != nil {
		return err
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' || !utf8.Valid(body) {
		return &input.Error{Field: "body", Problem: "is not a JSON object in UTF-8", Want: "the lock info of Terraform"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil { // the brace
		return badJSON(err)
	}
	info := lockInfoReader{given: map[string]bool{}}
	if err := members(dec, info.member); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return &input.Error{Field: "body", Problem: "goes on after the JSON object", Want: "one JSON object"}
	}
	if info.ID == "" {
		return &input.Error{Field: "ID", Problem: "is missing", Want: "the ID of the lock info"}
	}
	p.lockInfo = &info.TerraformLock
	return nil
}

// lockInfoReader is a lock info that is being read.
type lockInfoReader struct {
	api.TerraformLock
	given map[string]bool
}

// member reads one member of a lock info. Names are compared exactly.
func (i *lockInfoReader) member(dec *json.Decoder, name string) error {
	into := i.text(name)
	if into == nil && name != "Created" {
		var ignored json.RawMessage
		if err := dec.Decode(&ignored); err != nil {
			return badJSON(err)
		}
		return nil
	}
	if i.given[name] {
		return duplicate(name)
	}
	i.given[name] = true
	token, err := dec.Token()
	if err != nil {
		return badJSON(err)
	}
	value, is := token.(string)
	switch {
	case !is:
		return wrongType(name, token, "a string")
	case auth.HoldsSecret(value):
		return errTokenInValue(name)
	case name == "Created":
		i.Created, err = lockInfoCreated(value)
		return err
	case name == "ID":
		i.ID = value
		return lock.CheckAttemptKey("ID", value)
	case name == "Who":
		*into = Shown(value, lock.MaxHolder)
	default:
		*into = Shown(value, lock.MaxMetaValue)
	}
	return nil
}

// text returns where the text of a member belongs; nil for other members.
func (i *lockInfoReader) text(name string) *string {
	switch name {
	case "ID":
		return &i.ID
	case "Operation":
		return &i.Operation
	case "Info":
		return &i.Info
	case "Who":
		return &i.Who
	case "Version":
		return &i.Version
	case "Path":
		return &i.Path
	}
	return nil
}

func lockInfoCreated(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := LockInfoTime(text)
	if err != nil {
		err = &input.Error{Field: "Created", Problem: fmt.Sprintf("is %q", Shorten(text)), Want: "a time such as 2026-11-27T17:11:09.15Z"}
	}
	return at, err
}

// LockInfoTime returns the time in a lock info, in UTC. There its year has four digits: others
// have no form in JSON that Terraform reads.
func LockInfoTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, err
	}
	if at = at.UTC(); at.Year() < 0 || at.Year() > 9999 {
		return time.Time{}, errors.New("the year is out of range")
	}
	return at, nil
}

// Shown returns text in the form in which a lease may hold it: printable and at most most bytes.
func Shown(text string, most int) string {
	const more = "…"
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
	if len(text) <= most {
		return text
	}
	cut := most - len(more)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + more
}

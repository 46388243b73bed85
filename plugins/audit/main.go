// Command audit is a policy that denies nothing: it logs important events, and it notes the
// holder and the queue that a request competed with. README.md beside it describes its
// configuration.
package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
	guest.Observe(observe)
}

func main() {}

var (
	kinds    []string // of records that are logged
	warn     []string // of them, those that are logged as warnings
	metadata []string // keys that are logged
)

func configure(config []byte) error {
	return strict.Read(config, func(o *strict.Object) {
		if kinds = o.Texts("kinds"); kinds == nil {
			kinds = []string{"broken", "denied", "policy_error", "policies_loaded"}
		}
		if warn = o.Texts("warn"); warn == nil {
			warn = []string{"broken", "policy_error"}
		}
		metadata = o.Texts("metadata")
	})
}

// check notes what the audit log does not have otherwise: the competition for the lock.
func check(q guest.Request) guest.Verdict {
	if q.LockHeld() {
		q.Note("held_by", q.LockAccount()+"/"+q.LockHolder())
	}
	if n := q.QueueLength(); n > 0 {
		q.Note("queue", strconv.Itoa(n))
	}
	return guest.Allow
}

func observe(e guest.Event) error {
	kind := e.Text("kind")
	if !guest.MatchAny(kinds, kind) {
		return nil
	}
	level := guest.Info
	if guest.MatchAny(warn, kind) {
		level = guest.Warn
	}
	guest.Log(level, line(e, kind))
	return nil
}

// shown are the members of a record that a line tells, besides the metadata.
var shown = []string{"seq", "name", "account", "holder", "by", "reason", "cause", "held_ms", "waited_ms", "request_id"}

// line says what happened: denied seq=7 name=prod/db account=ci cause="not today".
func line(e guest.Event, kind string) string {
	b := append(make([]byte, 0, 256), kind...)
	for member, value := range e.Members() {
		switch {
		case slices.Contains(shown, member):
			b = add(b, member, value)
		case member == "metadata":
			for _, key := range metadata {
				b = add(b, "metadata."+key, e.Text("metadata", key))
			}
		}
	}
	return string(b)
}

func add(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, ' '), name...), '=')
	if plain(value) {
		return append(b, value...)
	}
	return strconv.AppendQuote(b, value)
}

// plain reports whether a value cannot be taken for more than one.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '"' || c == '=' || c > '~' })
}

package main

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/sqlite"
)

// soonExpires is how long before its end a certificate is worth a look.
const soonExpires = 14 * 24 * time.Hour

// start runs the checks of a start, all of them, and closes what they opened. It returns
// an address that strangers reach and for which only the database can have a token; empty:
// there is none.
func (d *doctor) start(running bool) (exposed string) {
	s := &server{}
	defer func() { _ = s.close() }() // it has only listeners
	for _, c := range startChecks {
		err := c.check(s, d.cfg)
		switch {
		case running && isPortTaken(err):
			d.say(fine, c.about, "%s is taken; a server runs here, so most likely by it", d.cfg.Addr)
		case err != nil:
			d.say(wrong, c.about, "%v", err)
		default:
			d.sayPassed(s, c.about)
		}
	}
	if guarded(d.cfg) || !exists(string(d.cfg.DB)) {
		return "" // nothing is wrong, or it was said
	}
	return s.exposed(d.cfg)
}

func isPortTaken(err error) bool {
	_, is := errors.AsType[*portTakenError](err)
	return is
}

// sayPassed says what is worth a line about a check that has passed.
func (d *doctor) sayPassed(s *server, about string) {
	switch about {
	case "address":
		d.say(fine, about, "%s can be listened on", d.cfg.Addr)
	case "tokens":
		if file := string(d.cfg.TokensFile); file != "" {
			n, _ := auth.CheckFile(file) // it has just been read
			d.say(fine, about, "%s has %s", file, text.Count(int64(n), "token"))
		}
	case "place":
		if dir := filepath.Dir(string(d.cfg.DB)); sqlite.Volatile(dir) {
			d.say(doubt, about, "%s", volatilePlace)
		}
	case "tls":
		d.certificate(s.certificate)
	}
}

func (d *doctor) certificate(cert *certificate) {
	switch {
	case cert == nil:
	case time.Until(cert.expires()) < soonExpires:
		d.say(doubt, "tls", "the certificate expires on %s", cert.expires().UTC().Format(time.RFC3339))
	default:
		d.say(fine, "tls", "the certificate is good until %s", cert.expires().UTC().Format(time.RFC3339))
	}
}

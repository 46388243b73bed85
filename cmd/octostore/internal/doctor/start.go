package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/sqlite"
)

// soonExpires is the time before its end at which a certificate gets a warning.
const soonExpires = 14 * 24 * time.Hour

// start runs all checks of a start, and closes the files and listeners they opened. It
// returns an address that other machines can reach and that only a token in the database
// protects, or an empty string.
func (d *doctor) start(running bool) (exposed string) {
	p := &preflight.Parts{}
	defer p.Close()
	for _, c := range preflight.Checks() {
		err := c.Run(p, d.cfg)
		switch {
		case running && isPortTaken(err):
			d.say(fine, c.About, "%s is taken; a server runs here, so most likely by it", d.cfg.Addr)
		case err != nil:
			d.say(wrong, c.About, "%v", err)
		default:
			d.sayPassed(p, c.About)
		}
	}
	if _, err := os.Stat(string(d.cfg.DB)); err != nil && d.cfg.Store != config.Etcd || preflight.Guarded(d.cfg) {
		return "" // nothing is wrong, or it was said
	}
	return p.Exposed(d.cfg)
}

func isPortTaken(err error) bool {
	_, is := errors.AsType[*preflight.PortTakenError](err)
	return is
}

// sayPassed prints the findings of a check that has passed, if there are any.
func (d *doctor) sayPassed(p *preflight.Parts, about string) {
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
			d.say(doubt, about, "%s", preflight.VolatilePlace)
		}
	case "tls":
		d.certificate(p.Certificate)
	}
}

func (d *doctor) certificate(cert *preflight.Certificate) {
	switch {
	case cert == nil:
	case time.Until(cert.Expires()) < soonExpires:
		d.say(doubt, "tls", "the certificate expires on %s", cert.Expires().UTC().Format(time.RFC3339))
	default:
		d.say(fine, "tls", "the certificate is good until %s", cert.Expires().UTC().Format(time.RFC3339))
	}
}

// Package doctor checks the database, the settings and the machine, and prints a line per
// check. It finds everything for which octostore serve would refuse to start, and problems
// that would show later. It changes nothing and needs no server; if a server runs on the
// database, the doctor asks that too. If the table is in etcd, it looks at etcd.
package doctor

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
)

// Examine runs all checks with the settings of the environment and of a .env file, and
// writes a line per finding to out, and the progress of long checks to errs. It fails if a
// finding is an error.
func Examine(ctx context.Context, out, errs io.Writer, envFile string) error {
	d := doctor{out: out, errs: errs, envFile: envFile}
	d.examine(ctx)
	return d.verdict()
}

// doctor runs the checks and prints their findings.
type doctor struct {
	out     io.Writer
	errs    io.Writer // shows progress
	envFile string    // named by the user; empty: .env if there is one
	cfg     config.Config

	looked, bad int
	failure     error // of writing
}

// finding is one line of the report.
type finding struct {
	state string
	about string
	text  string
}

// Grades of findings.
const (
	fine  = "ok"
	doubt = "warn" // worth a look, but nothing is broken
	wrong = "FAIL" // has to be mended
	skip  = "skip" // could not be looked at
)

func (d *doctor) say(state, about, format string, args ...any) {
	d.tell(finding{state, about, fmt.Sprintf(format, args...)})
}

func (d *doctor) tell(f finding) {
	d.looked++
	if f.state == wrong {
		d.bad++
	}
	text := strings.ReplaceAll(strings.TrimSpace(f.text), "\n", " / ") // one line each
	if _, err := fmt.Fprintf(d.out, "%-4s  %-11s  %s\n", f.state, f.about, text); err != nil {
		d.failure = err
	}
}

func (d *doctor) verdict() error {
	switch {
	case d.failure != nil:
		return d.failure
	case d.bad > 0:
		return fmt.Errorf("%d of %s failed", d.bad, text.Count(int64(d.looked), "check"))
	}
	return nil
}

// examine runs all checks. Without valid settings the others cannot run.
func (d *doctor) examine(ctx context.Context) {
	loaded, err := config.Load(config.Sources{Environ: os.Environ(), EnvFile: d.envFile})
	if err != nil {
		d.say(wrong, "settings", "%v", err)
		return
	}
	d.cfg = loaded.Config
	d.settings(loaded)
	if d.cfg.Store == config.Etcd {
		d.inEtcd(ctx)
		return
	}
	running := d.server(ctx)
	exposed := d.start(running)
	d.database(ctx, running, exposed)
	d.permissions()
	d.space()
	d.clock()
	d.policies(ctx)
}

// settings lists the settings that are not defaults, with their sources but without their
// values: some are secrets.
func (d *doctor) settings(loaded config.Loaded) {
	from := map[string][]string{}
	var sources []string
	for _, v := range loaded.Values {
		if v.Source == config.FromDefault {
			continue
		}
		if from[v.Source] == nil {
			sources = append(sources, v.Source)
		}
		from[v.Source] = append(from[v.Source], v.Name)
	}
	text := "all are the defaults"
	if len(sources) > 0 {
		var parts []string
		for _, source := range sources {
			parts = append(parts, "from "+source+": "+strings.Join(from[source], ", "))
		}
		text = strings.Join(parts, "; ") + "; the rest are the defaults"
	}
	if len(loaded.Unknown) == 0 {
		d.say(fine, "settings", "%s", text)
		return
	}
	var names []string
	for _, u := range loaded.Unknown {
		names = append(names, u.Name+" ("+u.Source+")")
	}
	d.say(doubt, "settings", "%s is not a setting, a misspelt one perhaps; %s", strings.Join(names, ", "), text)
}
